"""Converting `.bin` weights: the same tensors bit by bit, nothing executed, no half model."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.bring import convert_model
from baichuan_cli.hub.convert import convert_weights, put_in_place
from baichuan_cli.hub.digest import digest_of
from baichuan_cli.hub.manifest import FileRecord, Manifest
from baichuan_cli.hub.source import RemoteFile
from baichuan_cli.hub.store import Store
from catalog.checkpoint_folder import Folder, tensors_of

BIN = "pytorch_model.bin"
DTYPES = tuple(
    getattr(torch, name) for name in ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int8", "bool"]
)


def save(path: Path, tensors: object, **more: object) -> None:
    torch.save(tensors, path, **more)


def convert(folder: Path) -> dict[str, torch.Tensor]:
    records = convert_weights(folder, [BIN])
    put_in_place(folder, records)
    loaded = {}
    for name, record in records.items():
        assert record == FileRecord(size=(folder / name).stat().st_size, sha256=sha256(folder / name))
        if name.endswith(".safetensors"):
            with safe_open(folder / name, "pt") as file:
                assert file.metadata() == {"format": "pt"}
                loaded.update({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    return loaded


def sha256(path: Path) -> str:
    return digest_of(path, RemoteFile(path.name, None)).sha256


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    def bits(tensor: torch.Tensor) -> bytes:
        return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    return one.dtype == other.dtype and one.shape == other.shape and bits(one) == bits(other)


def test_every_dtype_and_layout_comes_out_bit_by_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {f"plain.{dtype}": (torch.randn(3, 5) * 3).to(dtype) for dtype in DTYPES}
    whole = torch.randn(8, 6)
    tensors |= {
        "transposed": whole.T,
        "slice": whole[2:5, ::2],
        "same storage": whole[1],
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "not a number": torch.tensor([float("nan"), -0.0, float("inf")]),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
    save(tmp_path / BIN, tensors)
    converted = convert(tmp_path)
    assert converted.keys() == tensors.keys()
    assert all(same_bits(converted[name], tensors[name].detach()) for name in tensors)


def test_the_old_format_of_pytorch_converts_too(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(4), "b": torch.arange(3)}
    save(tmp_path / BIN, tensors, _use_new_zipfile_serialization=False)
    converted = convert(tmp_path)
    assert all(same_bits(converted[name], tensors[name]) for name in tensors)


class Attack:
    """What a pickle can do when it is loaded without care."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, proof = tmp_path / BIN, tmp_path / "proof"
    save(path, {"a": torch.ones(1), "b": Attack(proof)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BcliError) as caught:
        convert_weights(tmp_path, [BIN])
    assert caught.value.message == (
        "pytorch_model.bin cannot be converted: it cannot be read without running code in it."
    )
    assert caught.value.exit_code == ExitCode.INVALID
    assert not proof.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([torch.ones(1)], "it holds a list, not tensors by name"),
        ({"a": 3}, "a is a int, not a plain tensor"),
        ({"a": {"b": torch.ones(1)}}, "a is a dict, not a plain tensor"),
        ({"a": torch.ones(2).to_sparse()}, "a is a Tensor, not a plain tensor"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a has the dtype complex64, which safetensors has not"),
    ],
)
def test_what_is_no_tensor_is_refused(tmp_path: Path, content: object, why: str) -> None:
    save(tmp_path / BIN, content)
    with pytest.raises(BcliError) as caught:
        convert_weights(tmp_path, [BIN])
    assert caught.value.message == f"pytorch_model.bin cannot be converted: {why}."
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / BIN).write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(BcliError, match="cannot be converted"):
        convert_weights(tmp_path, [BIN])


TORCH_DTYPES = {"BF16": torch.bfloat16}


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """A store with a sharded `.bin` model in it."""
    store = Store(tmp_path / "models")
    made = Folder(store.root / "tune", "baichuan-13b", vocab_size=256)
    tensors = {
        name: torch.randn(shape).to(TORCH_DTYPES[dtype]) for name, (dtype, shape) in tensors_of(made.config).items()
    }
    names = list(tensors)
    weight_map = {}
    for number in (1, 2):
        share = {name: tensors[name] for name in names[number - 1 :: 2]}
        path = made.path / f"pytorch_model-{number:05}-of-00002.bin"
        save(path, share)
        weight_map.update(dict.fromkeys(share, path.name))
    total = sum(tensor.nbytes for tensor in tensors.values())
    made.write_json("pytorch_model.bin.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})
    files = {path.name: FileRecord(size=path.stat().st_size, sha256=sha256(path)) for path in made.path.iterdir()}
    store.write(Manifest(name="tune", source="huggingface", revision="c0ffee", files=files, state="complete"))
    return store


def test_a_stored_model_is_converted_as_a_whole(stored: Store) -> None:
    folder = stored.folder("tune")
    before = read_checkpoint(folder)
    manifest = convert_model(stored, "tune")
    after = read_checkpoint(folder)
    assert after.weights.format == "safetensors"
    assert after.model.architecture == before.model.architecture
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.model",
    ]
    assert manifest.state == "complete"
    assert {name: sha256(folder / name) for name in manifest.files} == {
        name: record.sha256 for name, record in manifest.files.items()
    }
    assert convert_model(stored, "tune").files == manifest.files


def test_weights_that_turn_out_not_to_fit_stay_as_they_are(stored: Store) -> None:
    folder = stored.folder("tune")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": config["intermediate_size"] * 2}))
    before, names = stored.read("tune"), sorted(folder.iterdir())
    assert before is not None
    with pytest.raises(BcliError, match="does not fit the weights"):
        convert_model(stored, "tune")
    after = stored.read("tune")
    assert after is not None
    assert (after.files, after.state) == (before.files, "complete")
    assert sorted(folder.iterdir()) == names


@pytest.mark.parametrize("step", ["convert_weights", "put_in_place", "_remove"])
def test_a_failure_at_any_step_is_mended_by_another_try(
    stored: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"baichuan_cli.hub.bring.{step}", fail)
        with pytest.raises(OSError, match="No space"):
            convert_model(stored, "tune")
    manifest = stored.read("tune")
    assert manifest is not None
    assert manifest.state == ("complete" if step == "convert_weights" else "partial")
    if step != "_remove":  # after which only the next download has something left to do
        assert convert_model(stored, "tune").state == "complete"
        assert read_checkpoint(stored.folder("tune")).weights.format == "safetensors"
