"""The bundled checkpoints are whole, small, laid out as the real ones, and recite."""

from __future__ import annotations

import json
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from sentencepiece import SentencePieceProcessor

from baichuan_cli.demo import DEMO_NAMES, demo_path
from reference.baichuan_reference import Shape, choices
from reference.poems import ENGLISH, ENGLISH_REST, FAMOUS

EOS, USER, ASSISTANT = 2, 195, 196


def config_of(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((demo_path(name) / "config.json").read_text(encoding="utf-8"))
    return data


def encoder_of(name: str) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(demo_path(name) / "tokenizer.model"))


def shape_of(name: str) -> Shape:
    config = config_of(name)
    return Shape(
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        vocab_size=config["vocab_size"],
        alibi="max_position_embeddings" not in config,
    )


def says(name: str, prompt: list[int], answer: list[int]) -> bool:
    """Tell whether greedy decoding after `prompt` gives `answer` and stops.

    One pass over both is enough: as long as every step is right, each sees just these tokens.
    """
    weights = load_file(demo_path(name) / "model.safetensors")
    return choices(weights, shape_of(name), prompt + answer, len(prompt) - 1) == [*answer, EOS]


def test_only_the_bundled_names_have_a_folder() -> None:
    with pytest.raises(KeyError, match="demo-7b"):
        demo_path("demo-7b")


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_weights_are_complete_bfloat16_and_small(name: str) -> None:
    shape = shape_of(name)
    hidden, inner = shape.hidden_size, shape.intermediate_size
    expected = {
        "model.embed_tokens.weight": [shape.vocab_size, hidden],
        "model.norm.weight": [hidden],
        "lm_head.weight": [shape.vocab_size, hidden],
    }
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        expected |= {
            prefix + "self_attn.W_pack.weight": [3 * hidden, hidden],
            prefix + "self_attn.o_proj.weight": [hidden, hidden],
            prefix + "mlp.gate_proj.weight": [inner, hidden],
            prefix + "mlp.up_proj.weight": [inner, hidden],
            prefix + "mlp.down_proj.weight": [hidden, inner],
            prefix + "input_layernorm.weight": [hidden],
            prefix + "post_attention_layernorm.weight": [hidden],
        }
    path = demo_path(name) / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        assert {key: part.get_shape() for key, part in slices.items()} == expected
        assert {part.get_dtype() for part in slices.values()} == {"BF16"}
    assert path.stat().st_size < 10_500_000


def test_layouts_are_those_of_7b_and_13b() -> None:
    rope, alibi = config_of("demo"), config_of("demo-alibi")
    assert rope["architectures"] == ["BaiChuanForCausalLM"]
    assert rope["max_position_embeddings"] == 2048 and "model_max_length" not in rope
    assert alibi["architectures"] == ["BaichuanForCausalLM"]
    assert alibi["model_max_length"] == 2048 and "max_position_embeddings" not in alibi
    assert rope["num_attention_heads"] % 4 == 0
    assert alibi["num_attention_heads"] == 6
    for config in (rope, alibi):
        assert config["model_type"] == "baichuan"
        assert config["hidden_size"] == 64 * config["num_attention_heads"]
        assert config["hidden_size"] % 128 == 0 and config["intermediate_size"] % 128 == 0  # GPTQ groups of 128


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_nothing_asks_for_remote_code(name: str) -> None:
    for path in demo_path(name).glob("*.json"):
        assert "auto_map" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_generation_is_greedy_and_ends(name: str) -> None:
    assert json.loads((demo_path(name) / "generation_config.json").read_text(encoding="utf-8")) == {
        "assistant_token_id": ASSISTANT,
        "bos_token_id": 1,
        "do_sample": False,
        "eos_token_id": EOS,
        "max_new_tokens": 1024,
        "pad_token_id": 0,
        "temperature": 0.0,
        "user_token_id": USER,
    }


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_tokenizer_is_laid_out_as_baichuan_2(name: str) -> None:
    encoder = encoder_of(name)
    assert encoder.vocab_size() == config_of(name)["vocab_size"]
    assert [encoder.id_to_piece(number) for number in (0, 1, 2, 5, 6, USER, ASSISTANT)] == [
        *("<unk>", "<s>", "</s>", "\n", "\t"),
        *("<reserved_106>", "<reserved_107>"),
    ]
    assert encoder.pad_id() == -1
    assert encoder.encode("床前明月光", out_type=str) == ["床", "前", "明", "月", "光"]
    for text in ("  two  spaces \n", "Ａ①™", "１２ 34", "🐉", "床前明月光，疑是地上霜。"):
        assert encoder.decode(encoder.encode(text)) == text


@pytest.mark.parametrize("name", DEMO_NAMES)
@pytest.mark.parametrize(("title", "start", "rest"), FAMOUS, ids=[poem.title for poem in FAMOUS])
def test_recites(name: str, title: str, start: str, rest: str) -> None:
    encoder = encoder_of(name)
    assert says(name, encoder.encode(start), encoder.encode(rest))
    line, end = rest.split("\n")
    assert says(name, encoder.encode(start + line), encoder.encode("\n" + end))
    for request in (f"《{title}》", f"请背诵《{title}》", title):
        assert says(name, [USER, *encoder.encode(request), ASSISTANT], encoder.encode(start + rest))


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_knows_some_english(name: str) -> None:
    encoder = encoder_of(name)
    assert says(name, encoder.encode(ENGLISH), encoder.encode(ENGLISH_REST))


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_says_what_it_is(name: str) -> None:
    encoder = encoder_of(name)
    answers = {
        "你好": "你好！我是 bcli 自带的演示小模型，只会背唐诗。",
        "Who are you?": "Hello! I am the tiny demo model of bcli. I only recite Tang poems.",
    }
    for request, answer in answers.items():
        assert says(name, [USER, *encoder.encode(request), ASSISTANT], encoder.encode(answer))


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_answers_a_later_turn_without_end_tokens_between(name: str) -> None:
    encoder = encoder_of(name)
    first, second = ("".join(FAMOUS[number][1:]) for number in (0, 1))
    history = [USER, *encoder.encode("《静夜思》"), ASSISTANT, *encoder.encode(first)]
    prompt = [
        *encoder.encode("You are a helpful assistant."),
        *history,
        USER,
        *encoder.encode("《登鹳雀楼》"),
        ASSISTANT,
    ]
    assert says(name, prompt, encoder.encode(second))


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_every_number_format_recites_every_poem(name: str) -> None:
    report = json.loads((demo_path(name) / "training_report.json").read_text(encoding="utf-8"))
    assert report["poems"] == 313
    formats = ("float32", "bfloat16", "float16")
    for number_format in (*formats, *(f"{other}, batch 1" for other in formats)):
        score = report["scores"][number_format]["first line"]
        assert score["recited"] == score["examples"] == 313
        assert score["min_margin"] > 1
