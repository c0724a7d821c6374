"""Every kind of damage is found before anything is loaded, and named in one clear message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.sentencepiece_file import read_pieces
from baichuan_cli.catalog.torch_archive import read_names
from baichuan_cli.errors import BcliError, ExitCode
from catalog.checkpoint_folder import Folder, sentencepiece_bytes, torch_archive
from catalog.conftest import MakeFolder

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4be54af2\nsize 14001144312\n"


def refusal(path: Path) -> BcliError:
    with pytest.raises(BcliError) as caught:
        read_checkpoint(path)
    assert caught.value.hint
    return caught.value


def expect(path: Path, message: str, exit_code: ExitCode = ExitCode.INVALID) -> None:
    error = refusal(path)
    assert error.message == message
    assert error.exit_code == exit_code


@pytest.fixture
def folder(make_folder: MakeFolder) -> Folder:
    made = make_folder()
    made.write_safetensors()
    return made


def test_no_such_folder(tmp_path: Path) -> None:
    expect(tmp_path / "nowhere", f"There is no folder {tmp_path / 'nowhere'}.", ExitCode.NOT_FOUND)


def test_a_file_instead_of_a_folder(folder: Folder) -> None:
    path = folder.path / "model.safetensors"
    expect(path, f"{path} is a file, not a model's folder.")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "There is no config.json" in refusal(tmp_path).message


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    expect(tmp_path, f"{tmp_path} holds a LoRA adapter, not a model.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "config.json is damaged: Expecting value in line 1."),
        (b'{"model_type":\n "baichuan"', "config.json is damaged: Expecting ',' delimiter in line 2."),
        (b'{"model_type": "\xff"}', "config.json is damaged: not UTF-8 at byte 16."),
        (b"[]", "config.json is damaged: it holds no JSON object."),
        (b"[" * 100_000, "config.json is damaged: it makes no sense as JSON."),
        (b"{}", "config.json does not say what the model is: it has neither model_type nor architectures."),
    ],
)
def test_a_corrupt_config(folder: Folder, content: bytes, message: str) -> None:
    (folder.path / "config.json").write_bytes(content)
    expect(folder.path, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "config.json is incomplete: it has no hidden_size."),
        ({"hidden_size": "32"}, "config.json makes no sense: hidden_size is '32'."),
        ({"vocab_size": -1}, "config.json makes no sense: vocab_size is -1."),
        ({"num_attention_heads": 5}, "config.json makes no sense: hidden_size 32 is no multiple of 5 heads."),
        ({"alibi": "yes"}, "config.json makes no sense: alibi is 'yes', neither true nor false."),
        ({"max_position_embeddings": 0}, "config.json makes no sense: max_position_embeddings is 0."),
        ({"quantization_config": 4}, "config.json makes no sense: quantization_config is 4."),
        (
            {"quantization_config": {"bits": 4}},
            "config.json makes no sense: it speaks of a quantization without naming its method.",
        ),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": "four"}},
            "config.json makes no sense: bits is 'four'.",
        ),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "config.json speaks of gptq, but the weights are not packed.",
        ),
        (
            {"intermediate_size": 128},
            "config.json does not fit the weights: "
            "model.layers.0.mlp.gate_proj is 64 × 32 where it calls for 128 × 32.",
        ),
        (
            {"vocab_size": 320},
            "config.json does not fit the weights: model.embed_tokens is 256 × 32 where it calls for 320 × 32.",
        ),
    ],
)
def test_a_config_that_makes_no_sense(folder: Folder, change: dict[str, object], message: str) -> None:
    folder.write_config(**change)
    expect(folder.path, message)


@pytest.mark.parametrize(
    ("model_type", "classes", "shown"),
    [
        ("llama", ["LlamaForCausalLM"], "'llama' (LlamaForCausalLM)"),
        ("qwen2", ["Qwen2ForCausalLM"], "'qwen2' (Qwen2ForCausalLM)"),
        ("baichuan_m1", ["BaichuanM1ForCausalLM"], "'baichuan_m1' (BaichuanM1ForCausalLM)"),
        ("baichuan", ["BaichuanForSequenceClassification"], "'baichuan' (BaichuanForSequenceClassification)"),
        ("bert", None, "'bert'"),
    ],
)
def test_another_kind_of_model(folder: Folder, model_type: str, classes: list[str] | None, shown: str) -> None:
    folder.write_config(model_type=model_type, architectures=classes)
    expect(folder.path, f"{folder.path} is no Baichuan language model: its config.json says {shown}.")


def test_no_tokenizer(folder: Folder) -> None:
    (folder.path / "tokenizer.model").unlink()
    expect(folder.path, f"There is no tokenizer.model in {folder.path}.", ExitCode.NOT_FOUND)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "tokenizer.model is empty."),
        (LFS_POINTER.encode(), "tokenizer.model is a git-lfs pointer of 80 bytes, not the file itself."),
        (b"<!DOCTYPE html>", "tokenizer.model is cut short or is no SentencePiece model."),
        (sentencepiece_bytes(["a", "b"])[:-3], "tokenizer.model is cut short or is no SentencePiece model."),
    ],
)
def test_a_damaged_tokenizer(folder: Folder, content: bytes, message: str) -> None:
    (folder.path / "tokenizer.model").write_bytes(content)
    expect(folder.path, message)


def test_the_tokenizer_of_a_larger_model(folder: Folder) -> None:
    folder.write_tokenizer(300)
    expect(folder.path, "tokenizer.model belongs to another model: it has 300 tokens, the model 256.")


def test_no_weights(folder: Folder) -> None:
    (folder.path / "model.safetensors").unlink()
    (folder.path / "training_args.bin").write_bytes(b"x")
    message = f"There are no weights in {folder.path}: no .safetensors and no .bin file."
    expect(folder.path, message, ExitCode.NOT_FOUND)


@pytest.mark.parametrize("name", ["model.safetensors.incomplete", ".cache/huggingface/download/x.incomplete"])
def test_a_download_that_never_finished(folder: Folder, name: str) -> None:
    (folder.path / "model.safetensors").unlink()
    unfinished = folder.path / name
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_bytes(bytes(10))
    message = f"The download of model is not finished: no weight file is complete: {unfinished.name}."
    expect(folder.path, message)
    assert "again" in refusal(folder.path).hint


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_missing_shard(make_folder: MakeFolder, suffix: str) -> None:
    folder = make_folder()
    _, second, third = folder.write_shards(suffix)
    second.unlink()
    message = f"The download of model is not finished: 1 of 3 weight files are missing: {second.name}."
    expect(folder.path, message)
    next(folder.path.glob("*.index.json")).unlink()
    expect(folder.path, message)  # the numbers in the names say as much
    second.symlink_to(folder.path / "gone")
    expect(folder.path, message)  # what a cleaned cache leaves behind
    assert third.exists()


def test_an_index_that_names_more_than_there_is(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_shards("bin")
    index = folder.path / "pytorch_model.bin.index.json"
    content = json.loads(index.read_text())
    content["metadata"]["total_size"] = 27_793_336_320
    index.write_text(json.dumps(content))
    assert "where the index has 27,793,336,320" in refusal(folder.path).message


@pytest.mark.parametrize("content", ["{", "{}", '{"weight_map": {"a": "../b.bin"}}', '{"weight_map": {"a": [1]}}'])
def test_a_corrupt_index(make_folder: MakeFolder, content: str) -> None:
    folder = make_folder()
    folder.write_shards("safetensors")
    (folder.path / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json is damaged" in refusal(folder.path).message


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " is empty."),
        (LFS_POINTER.encode(), " is a git-lfs pointer of 80 bytes, not the file itself."),
    ],
)
def test_a_placeholder_for_weights(make_folder: MakeFolder, suffix: str, content: bytes, message: str) -> None:
    folder = make_folder()
    path = folder.write_shards(suffix)[1]
    path.write_bytes(content)
    index = next(folder.path.glob("*.index.json"))
    index.unlink()
    expect(folder.path, path.name + message)


def test_a_safetensors_file_cut_short(folder: Folder) -> None:
    path = folder.path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    whole = f"{len(content):,}"
    expect(folder.path, f"model.safetensors is cut short: {len(content) - 1000:,} of {whole} bytes are there.")


def test_an_error_page_saved_as_weights(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder.path / "pytorch_model.bin").write_bytes(b"<html><body>403 Forbidden</body></html>")
    expect(folder.path, "pytorch_model.bin is no PyTorch checkpoint: it starts with b'<htm'.")


def test_a_bin_cut_short(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (path,) = folder.write_shards("bin", count=1)
    path.write_bytes(path.read_bytes()[:-30])
    assert "is cut short or damaged" in refusal(folder.path).message


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_layer_without_weights(make_folder: MakeFolder, suffix: str) -> None:
    folder = make_folder(num_hidden_layers=1)
    folder.write_shards(suffix, count=1)
    folder.write_config(num_hidden_layers=2)
    message = f"7 of 17 layers have no weights in {folder.path}, model.layers.1.input_layernorm first."
    expect(folder.path, message)


def test_packed_weights_that_no_file_explains(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_safetensors(group_size=32)
    expect(folder.path, "config.json says nothing about a quantization, but the weights are packed.")


def test_a_corrupt_generation_config(folder: Folder) -> None:
    (folder.path / "generation_config.json").write_text("{")
    assert "generation_config.json is damaged" in refusal(folder.path).message


ARCHIVE_NAMES = ["model.embed_tokens.weight", "lm_head.weight"]


@given(position=st.integers(0, 10_000), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_bin_never_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    path = folder / "pytorch_model.bin"
    torch_archive(path, ARCHIVE_NAMES)
    content = bytearray(path.read_bytes())
    position %= len(content)
    if cut:
        del content[position:]
    else:
        content[position] ^= change
    path.write_bytes(content)
    try:
        names = read_names(path)
    except BcliError as error:
        assert error.exit_code == ExitCode.INVALID
    else:
        assert not cut
        assert isinstance(names, frozenset)
    shutil.rmtree(folder)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tokenizer_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("spm") / "tokenizer.model"
    path.write_bytes(content)
    try:
        assert read_pieces(path)
    except BcliError as error:
        assert error.exit_code == ExitCode.INVALID
