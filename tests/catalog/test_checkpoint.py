"""What bcli reads out of a whole checkpoint, in every layout in use."""

from __future__ import annotations

import pytest

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import Checkpoint, read_checkpoint
from baichuan_cli.catalog.model import Architecture, Quantization
from catalog.checkpoint_folder import tensors_of, torch_archive
from catalog.conftest import MakeFolder

CHAT_GENERATION = {
    "_from_model_config": True,
    "user_token_id": 195,
    "assistant_token_id": 196,
    "do_sample": True,
    "temperature": 0.3,
    "top_k": 5,
    "top_p": 0.85,
    "repetition_penalty": 1.05,
    "max_new_tokens": 2048,
    "transformers_version": "4.29.2",
}


def warnings(checkpoint: Checkpoint) -> list[str]:
    return [oddity.text for oddity in checkpoint.oddities if oddity.severity == "warning"]


def texts(checkpoint: Checkpoint) -> str:
    return "\n".join(oddity.text for oddity in checkpoint.oddities)


@pytest.mark.parametrize(
    ("layout", "vocab_size", "class_name", "position", "norm_head", "chat_family"),
    [
        ("baichuan-7b", 64_000, "BaiChuanForCausalLM", "rope", False, "baichuan1"),
        ("baichuan-13b", 64_000, "BaichuanForCausalLM", "alibi", False, "baichuan1"),
        ("baichuan2-7b", 125_696, "BaichuanForCausalLM", "rope", True, "baichuan2"),
        ("baichuan2-13b", 125_696, "BaichuanForCausalLM", "alibi", True, "baichuan2"),
    ],
)
def test_the_four_layouts(
    make_folder: MakeFolder,
    layout: str,
    vocab_size: int,
    class_name: str,
    position: str,
    norm_head: bool,
    chat_family: str,
) -> None:
    folder = make_folder(layout, vocab_size=vocab_size)
    folder.write_safetensors()
    folder.write_json("generation_config.json", CHAT_GENERATION)
    model = read_checkpoint(folder.path).model
    assert model.architecture == Architecture(
        class_name=class_name,
        hidden_size=folder.config["hidden_size"],
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=vocab_size,
        position_embedding=position,  # type: ignore[arg-type]
        norm_head=norm_head,
        context_length=4096,
    )
    assert model.chat_family == chat_family
    assert (model.weights_dtype, model.weight_format) == ("bfloat16", "safetensors")
    assert model.weight_bytes == (folder.path / "model.safetensors").stat().st_size
    assert model.generation_defaults == {
        "do_sample": True,
        "temperature": 0.3,
        "top_k": 5,
        "top_p": 0.85,
        "repetition_penalty": 1.05,
        "max_new_tokens": 2048,
    }
    assert (model.name, model.path, model.facts_from) == ("model", folder.path, "files")


def test_explicit_fields_win_over_the_shape(make_folder: MakeFolder) -> None:
    folder = make_folder("baichuan2-7b", vocab_size=260)
    folder.write_config(alibi=True, norm_head=True)
    folder.write_safetensors()
    architecture = read_checkpoint(folder.path).model.architecture
    assert (architecture.position_embedding, architecture.norm_head) == ("alibi", True)


def test_a_13b_that_also_says_max_position_embeddings_keeps_alibi(make_folder: MakeFolder) -> None:
    folder = make_folder("baichuan-13b", hidden_size=5120, num_attention_heads=40, intermediate_size=8)
    folder.write_config(max_position_embeddings=4096, num_hidden_layers=1)
    folder.write_shards("bin", count=1)  # names its tensors only; real ones are large at this width
    assert read_checkpoint(folder.path).model.architecture.position_embedding == "alibi"


def test_a_model_is_for_chat_when_its_files_or_its_name_say_so(make_folder: MakeFolder) -> None:
    base = make_folder(name="Some-Base")
    named = make_folder(name="My-Chat-Tune")
    told = make_folder(name="tune")
    told.write_json("generation_config.json", {"user_token_id": 195})
    for folder in (base, named, told):
        folder.write_safetensors()
    families = [read_checkpoint(folder.path).model.chat_family for folder in (base, named, told)]
    assert families == [None, "baichuan1", "baichuan1"]


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards_with_an_index(make_folder: MakeFolder, suffix: str) -> None:
    folder = make_folder()
    paths = folder.write_shards(suffix)
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.weights.paths == tuple(paths)
    assert checkpoint.model.weight_format == suffix
    assert checkpoint.model.weight_bytes == sum(path.stat().st_size for path in paths)


def test_safetensors_go_before_bin_and_the_files_dtype_before_the_configs(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_safetensors("F16")
    (folder.path / "pytorch_model.bin").write_bytes(b"")
    (folder.path / "training_args.bin").write_bytes(b"")
    checkpoint = read_checkpoint(folder.path)
    assert (checkpoint.model.weight_format, checkpoint.model.weights_dtype) == ("safetensors", "float16")
    assert "The weights are there twice" in texts(checkpoint)
    assert "config.json says bfloat16, but the weights are float16." in texts(checkpoint)


def test_a_bin_without_a_dtype_is_judged_by_its_size(make_folder: MakeFolder) -> None:
    folder = make_folder(torch_dtype=None)
    (path,) = folder.write_shards("bin", count=1)
    model = read_checkpoint(folder.path).model
    assert model.weights_dtype == "float16"
    torch_archive(path, list(tensors_of(folder.config)), payload=4 * model.architecture.parameters)
    assert read_checkpoint(folder.path).model.weights_dtype == "float32"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False},
            Quantization("gptq", 4, 32, False),
        ),
        ({"quant_method": "gptq", "bits": 4}, Quantization("gptq", 4, 32, None)),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 32}, Quantization("awq", 4, 32, None)),
    ],
)
def test_quantization_in_config_json(
    make_folder: MakeFolder, settings: dict[str, object], expected: Quantization
) -> None:
    folder = make_folder()
    folder.write_config(quantization_config=settings)
    folder.write_safetensors(group_size=32)
    assert read_checkpoint(folder.path).model.quantization == expected


def test_quantization_in_autogptqs_own_file(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_json("quantize_config.json", {"bits": 4, "group_size": 32, "desc_act": True})
    folder.write_safetensors("F16", group_size=32)
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.model.quantization == Quantization("gptq", 4, 32, True)
    assert "desc_act" in "".join(warnings(checkpoint))


def test_the_scales_know_the_group_size_better_than_the_configuration(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_json("quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": False})
    folder.write_safetensors("F16", group_size=32)
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.model.quantization == Quantization("gptq", 4, 32, False)
    assert warnings(checkpoint) == [
        "The configuration says group size 128, but the scales are those of group size 32."
    ]


def test_compressed_tensors(make_folder: MakeFolder) -> None:
    folder = make_folder()
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "group_size": None, "type": "int"}}
    folder.write_config(
        quantization_config={"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}
    )
    folder.write_safetensors()
    assert read_checkpoint(folder.path).model.quantization == Quantization("compressed-tensors", 8)


def test_pickled_bitsandbytes_cannot_be_loaded(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_config(quantization_config={"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"})
    folder.write_shards("bin", count=1)
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.model.quantization == Quantization("bitsandbytes", 4)
    assert "bitsandbytes" in checkpoint.model.not_loadable
    assert "vLLM cannot load it" in "".join(warnings(checkpoint))


def test_the_catalogue_fills_what_the_files_leave_out_and_says_so(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder("baichuan2-7b", name="Baichuan2-7B-Chat")
    folder.write_safetensors()
    small = read_checkpoint(folder.path).model.architecture
    catalogue = load_catalogue()
    monkeypatch.setitem(catalogue.architectures, "baichuan2-7b", small)  # type: ignore[arg-type]
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.title == "Baichuan2-7B"
    assert checkpoint.model.generation_defaults["repetition_penalty"] == 1.05
    assert "The files leave out: the sampling defaults." in texts(checkpoint)


def test_a_borrowed_name_is_noticed_and_the_files_win(make_folder: MakeFolder) -> None:
    folder = make_folder("baichuan-13b", name="Baichuan2-7B-Chat")
    folder.write_safetensors()
    checkpoint = read_checkpoint(folder.path)
    assert checkpoint.model.architecture.position_embedding == "alibi"
    assert checkpoint.model.generation_defaults == {}
    assert warnings(checkpoint) == [
        "The folder is called like Baichuan2-7B-Chat, but it holds a model of another shape."
    ]


def test_a_resized_vocabulary_leaves_the_head_in_doubt(make_folder: MakeFolder) -> None:
    folder = make_folder("baichuan2-7b", hidden_size=4096, num_attention_heads=32, vocab_size=260)
    folder.write_config(intermediate_size=8, num_hidden_layers=1)
    folder.write_shards("bin", count=1)
    assert "does not tell whether the head is normalised" in "".join(warnings(read_checkpoint(folder.path)))
    folder.write_config(norm_head=True)
    assert warnings(read_checkpoint(folder.path)) == []


def test_a_class_that_contradicts_its_shape_is_noticed(make_folder: MakeFolder) -> None:
    folder = make_folder("baichuan-7b", max_position_embeddings=None, model_max_length=4096)
    folder.write_safetensors()
    assert "BaiChuanForCausalLM stands for rotary embeddings" in "".join(warnings(read_checkpoint(folder.path)))
    folder.write_config(alibi=False)
    assert warnings(read_checkpoint(folder.path)) == []


def test_a_plain_checkpoint_has_nothing_odd_but_its_shape(make_folder: MakeFolder) -> None:
    folder = make_folder()
    folder.write_safetensors()
    assert texts(read_checkpoint(folder.path)) == "Its shape is none of the four that Baichuan published."


def test_the_snapshot_of_a_cache_is_called_by_its_repository(make_folder: MakeFolder) -> None:
    folder = make_folder(name="models--baichuan-inc--Baichuan2-7B-Chat/snapshots/84603cd")
    folder.write_safetensors()
    assert read_checkpoint(folder.path).model.name == "Baichuan2-7B-Chat"
