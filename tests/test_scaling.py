"""docs/scaling.md: its arithmetic is the plan's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.memory import kv_bytes_per_token, weight_memory_bytes
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.parallel import tensor_parallel_sizes
from baichuan_cli.cli.app import app
from baichuan_cli.plan.rules.memory import OVERHEAD_BYTES
from baichuan_cli.sizes import GIB

DOCUMENT = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
NAMES = {
    "Baichuan2-7B": "baichuan2-7b-chat",
    "Baichuan2-13B": "baichuan2-13b-chat",
    "Baichuan2-13B GPTQ, groups of 128": "baichuan2-13b-chat-gptq",
}


def model(name: str) -> Model:
    catalogue = load_catalogue()
    return catalogue.model(catalogue.get(name))  # type: ignore[arg-type]  # none of them is a demo


def table() -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| Baichuan2")]
    assert len(rows) == 5
    return rows


def tokens(name: str, cards: int, gib: int) -> int:
    weights = weight_memory_bytes(model(name), "float16", cards)
    free = 0.9 * gib * GIB - weights - OVERHEAD_BYTES
    return int(free // kv_bytes_per_token(model(name).architecture, "float16", cards))


@pytest.mark.parametrize("row", table(), ids=lambda row: f"{row[0]} on {row[1]}")
def test_what_a_card_holds(row: list[str]) -> None:
    name, cards = NAMES[row[0]], int(row[1])
    weights = weight_memory_bytes(model(name), "float16", cards)
    left = [f"{(0.9 * gib * GIB - weights - OVERHEAD_BYTES) / GIB:.1f} GiB" for gib in (64, 32)]
    held = [f"{tokens(name, cards, gib):,}" for gib in (64, 32)]
    assert row[2:] == [f"{weights / GIB:.1f} GiB", left[0], held[0], left[1], held[1]]


@pytest.mark.parametrize(("name", "size"), [("baichuan2-7b-chat", "512 KiB"), ("baichuan2-13b-chat", "800 KiB")])
def test_a_token_in_the_cache(name: str, size: str) -> None:
    assert f"{kv_bytes_per_token(model(name).architecture, 'float16') // 1024} KiB" == size
    assert size in DOCUMENT


def test_the_sums_in_the_text() -> None:
    one_7b, one_13b = tokens("baichuan2-7b-chat", 1, 64), tokens("baichuan2-13b-chat", 1, 64)
    assert f"2 × {one_7b:,} = {2 * one_7b:,}" in DOCUMENT
    assert f"2 × {one_13b:,} = {2 * one_13b:,}" in DOCUMENT
    assert f"= {one_13b:,}\ntokens, which is {one_13b / 4096:.1f} conversations" in DOCUMENT
    read = model("baichuan2-7b-chat").weight_bytes / 1e9
    assert f"{read:.1f} GB ÷ 896 GB/s = {read / 896 * 1000:.1f} ms and from two {read / 896 * 500:.1f} ms" in DOCUMENT
    assert f"112,000 ÷ {one_7b:,} = {112_000 / one_7b:.1f}: two cards" in DOCUMENT
    assert f"4,000 ÷ (0.7 × 3,900) = {4000 / (0.7 * 3900):.1f}: two cards" in DOCUMENT


def test_what_cannot_be_split() -> None:
    assert tensor_parallel_sizes(model("baichuan2-13b-chat-gptq")) == (1,)
    assert max(tensor_parallel_sizes(model("baichuan2-7b-chat-gptq-int4"))) == 2
    assert 16 not in tensor_parallel_sizes(model("baichuan2-13b-chat"))


def test_the_manifests_are_yaml() -> None:
    manifests = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(manifests) == 3
    values, group, backend = map(yaml.safe_load, manifests)
    assert values["servingEngineSpec"]["modelSpec"][0]["requestGPU"] == 1
    [container] = group["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
    assert container["args"][-6:] == [
        *("--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"),
        *("--master-addr", "$(LWS_LEADER_ADDRESS)"),
    ]
    assert backend["default_version"] in backend["version_configs"]


def test_what_the_manifests_give_bcli_parses() -> None:
    group, backend = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)[1:])
    [container] = group["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
    [version] = backend["version_configs"].values()
    known = {name for option in _serve().params for name in (*option.opts, *option.secondary_opts)}
    for arguments in (container["args"], version["run_command"].split()):
        assert arguments[0] == "serve"
        assert [each for each in arguments if each.startswith("-") and each not in known] == []


def _serve() -> Any:
    return typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
