"""The catalogue's numbers, its schema, and finding a model by what people call it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from baichuan_cli.catalog import catalogue as module
from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.memory import kv_bytes_per_token, kv_cache_bytes, weight_memory_bytes
from baichuan_cli.catalog.parallel import tensor_parallel_sizes
from baichuan_cli.catalog.schema import CatalogueFile, Entry
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.sizes import GIB


def entry(name: str) -> Entry:
    found = load_catalogue().get(name)
    assert isinstance(found, Entry)
    return found


@pytest.mark.parametrize(
    ("key", "parameters", "stored_bytes", "kv_kib"),
    [
        ("baichuan-7b", 7_000_559_616, 14_001_119_232, 512),
        ("baichuan-13b", 13_264_901_120, 26_529_802_240, 800),
        ("baichuan2-7b", 7_505_973_248, 15_011_946_496, 512),
        ("baichuan2-13b", 13_896_668_160, 27_793_336_320, 800),
    ],
)
def test_the_four_shapes_have_their_published_sizes(key: str, parameters: int, stored_bytes: int, kv_kib: int) -> None:
    catalogue = load_catalogue()
    shape = catalogue.architectures[key]
    assert shape.parameters == parameters
    assert kv_bytes_per_token(shape, "float16") == kv_kib * 1024
    assert kv_bytes_per_token(shape, "float16", tensor_parallel_size=2) == kv_kib * 512
    assert kv_cache_bytes(shape, 4096, "bfloat16") == kv_kib * 1024 * 4096
    unquantized = [model for model in catalogue.entries if model.architecture == key and model.quantization is None]
    assert unquantized
    for model in unquantized:
        assert model.weights.bytes == stored_bytes
        assert weight_memory_bytes(catalogue.model(model), "float16") == stored_bytes
        assert weight_memory_bytes(catalogue.model(model), "float32") == 2 * stored_bytes


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("baichuan-7b-gptq", 4.42),
        ("baichuan2-7b-chat-gptq-int4", 5.43),
        ("baichuan2-13b-chat-gptq", 9.13),
        ("baichuan2-13b-chat-gptq-4bit-32g", 9.87),
    ],
)
def test_quantized_sizes_are_reckoned_from_the_shapes(name: str, gigabytes: float) -> None:
    model = load_catalogue().model(entry(name))
    assert weight_memory_bytes(model, "float16") == pytest.approx(gigabytes * 1e9, rel=0.002)
    assert weight_memory_bytes(model, "float16") == model.weight_bytes


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("baichuan2-7b-chat", (1, 2, 4, 8, 16)),
        ("baichuan2-13b-chat", (1, 2, 4, 8)),
        ("baichuan2-7b-chat-gptq-int4", (1, 2)),
        ("baichuan2-13b-chat-gptq", (1,)),
        ("baichuan2-13b-chat-gptq-32g", (1, 2, 4)),
    ],
)
def test_cards_that_can_share_a_model(name: str, sizes: tuple[int, ...]) -> None:
    assert tensor_parallel_sizes(load_catalogue().model(entry(name))) == sizes


def test_two_cards_halve_every_matrix_and_keep_the_norms() -> None:
    model = load_catalogue().model(entry("baichuan2-13b-chat"))
    norms = (2 * 40 + 1) * 5120 * 2
    assert weight_memory_bytes(model, "float16", 2) == (27_793_336_320 - norms) // 2 + norms
    assert weight_memory_bytes(model, "float16") / GIB == pytest.approx(25.88, abs=0.01)


def test_a_name_is_found_in_any_case_by_alias_and_by_repository() -> None:
    chat = entry("Baichuan2-7B-Chat")
    assert chat is entry("baichuan2-7b-chat") is entry("baichuan-inc/Baichuan2-7B-Chat")
    assert entry("baichuan2-13b") is entry("Baichuan2-13B-Base")
    assert load_catalogue().get("DEMO").name == "demo"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            "baichuan2-7b-chta",
            "There is no model 'baichuan2-7b-chta'. "
            "Did you mean baichuan2-7b-chat, baichuan-7b-chat or baichuan2-13b-chat?",
        ),
        ("gpt", "There is no model 'gpt'."),
        ("dmeo", "There is no model 'dmeo'. Did you mean demo?"),
    ],
)
def test_an_unknown_name_offers_the_nearest(typed: str, message: str) -> None:
    with pytest.raises(BcliError) as caught:
        load_catalogue().get(typed)
    assert caught.value.message == message
    assert "bcli models list" in caught.value.hint
    assert caught.value.exit_code == ExitCode.NOT_FOUND


def test_every_model_that_the_issue_names_is_there() -> None:
    assert set(load_catalogue().names()) == {
        "demo",
        "demo-alibi",
        "baichuan-7b",
        "baichuan-7b-chat",
        "baichuan-7b-gptq",
        "baichuan-13b-base",
        "baichuan-13b-chat",
        "baichuan2-7b-base",
        "baichuan2-7b-chat",
        "baichuan2-7b-chat-gptq-int4",
        "baichuan2-13b-base",
        "baichuan2-13b-chat",
        "baichuan2-13b-chat-gptq",
        "baichuan2-13b-chat-gptq-4bit-32g",
        "baichuan2-7b-chat-4bits",
        "baichuan2-13b-chat-4bits",
    }
    for name in ("baichuan2-7b-chat-4bits", "baichuan2-13b-chat-4bits"):
        assert "bitsandbytes" in load_catalogue().model(entry(name)).not_loadable


def test_the_readme_of_the_old_scripts_is_covered() -> None:
    readme = Path(__file__).parents[3] / "shared" / "reference" / "baichuan_vllm-README.md"
    if not readme.exists():
        pytest.skip("the reference README is not on this machine")
    text = readme.read_text(encoding="utf-8")
    for model in load_catalogue().entries:
        for url in model.sources.urls().values():
            text = text.replace(f"({url})", "")
    assert "/aimodels/" not in text
    assert "hf-mirror.com" not in text


@pytest.fixture
def content() -> dict[str, Any]:
    path = Path(module.__file__).with_name("models.yaml")
    return copy.deepcopy(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_file_itself_is_valid(content: dict[str, Any]) -> None:
    CatalogueFile.model_validate(content)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("models", 0, "licens"), "x", "Extra inputs are not permitted"),
        (("models", 0, "weights", "colour"), "x", "Extra inputs are not permitted"),
        (("models", 0, "weights", "bytes"), "14 GB", "valid integer"),
        (("models", 0, "weights", "bytes"), 0, "greater than 0"),
        (("models", 0, "chat_family"), "llama2", "'baichuan1' or 'baichuan2'"),
        (("models", 0, "architecture"), "baichuan-70b", "there is no architecture 'baichuan-70b'"),
        (("models", 0, "licence"), "mit", "there is no licence 'mit'"),
        (("models", 0, "aliases"), ["Baichuan-7B"], "should match pattern"),
        (("models", 0, "aliases"), ["baichuan-7b", "baichuan2-7b"], "the alias 'baichuan2-7b' is taken"),
        (("models", 0, "aliases"), ["b7"], "the first alias of Baichuan-7B must be 'baichuan-7b'"),
        (("models", 0, "aliases"), ["baichuan-7b", "demo"], "the alias 'demo' is taken"),
        (("models", 0, "unverified"), ["weights.colour"], "'weights.colour' is no field of a model"),
        (("models", 0, "instead"), ["b7"], "there is no model 'b7'"),
        (("models", 2, "quantization", "group_size"), "many", "valid integer"),
        (("architectures", "baichuan-7b", "hidden_size"), 4096.0, "valid integer"),
    ],
)
def test_a_mistake_in_the_file_is_refused(
    content: dict[str, Any], path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    target: Any = content
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(ValidationError, match=complaint):
        CatalogueFile.model_validate(content)


def test_unknown_stays_unknown() -> None:
    quantization = load_catalogue().model(entry("baichuan2-7b-chat-gptq")).quantization
    assert quantization is not None
    assert (quantization.group_size, quantization.desc_act) == (128, None)
