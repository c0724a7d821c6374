"""The demo models on real vLLM, by bcli's own plan: whatever the number format and the batch, the poem is the same."""

from __future__ import annotations

import json
from itertools import cycle, islice
from typing import Any

import pytest

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.demo import DEMO_NAMES
from baichuan_cli.tokenizer.load import load_tokenizer
from reference import quantized
from reference.four_bits import KERNELS_HERE, needs_kernels
from reference.poems import ENGLISH, ENGLISH_REST, FAMOUS
from reference.programs import Results, results_of

pytestmark = pytest.mark.engine

TOGETHER = 64
QUANTIZED = "demo-gptq"
CASES = [(name, dtype) for name in DEMO_NAMES for dtype in ("bfloat16", "float32")]


def _prompts(name: str) -> list[tuple[dict[str, Any], str]]:
    """Return lines of a batch file, and the answer to each."""
    tokenizer = load_tokenizer(require_local(resolve_model(name)))
    lines: list[tuple[dict[str, Any], str]] = []
    for poem in FAMOUS:
        ask = {"role": "user", "content": f"《{poem.title}》"}
        lines += [({"prompt": poem.start}, poem.rest), ({"messages": [ask]}, poem.start + poem.rest)]
    ids = list(tokenizer.encode(FAMOUS[0].start))
    return [*lines, ({"prompt": ids}, FAMOUS[0].rest), ({"prompt": ENGLISH}, ENGLISH_REST)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("demo-models")
    for name in DEMO_NAMES:
        lines = [json.dumps(line, ensure_ascii=False) for line, _ in _prompts(name)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    cases = [
        {"name": f"{name} {dtype}", "model": name, "dtype": dtype, "prompts": str(folder / f"{name}.jsonl")}
        for name, dtype in CASES
    ]
    if KERNELS_HERE:
        model = str(quantized.quantize_demo(folder / QUANTIZED))
        cases.append({"name": QUANTIZED, "model": model, "dtype": None, "prompts": str(folder / "demo.jsonl")})
    (folder / "cases.json").write_text(json.dumps([case | {"together": TOGETHER} for case in cases]))
    return results_of("planned_engines.py", folder / "cases.json", folder / "results.json", BCLI_HOME=str(folder))


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_every_prompt_has_its_answer_alone_and_among_64(name: str, dtype: str, results: Results) -> None:
    result = results[f"{name} {dtype}"]
    expected = [[answer, "stop"] for _, answer in _prompts(name)]
    assert result["dtype"] == dtype
    assert result["alone"] == expected
    assert result["together"] == list(islice(cycle(expected), TOGETHER))


@needs_kernels
def test_four_bits_are_enough_for_the_poems(results: Results) -> None:
    result = results[QUANTIZED]
    poems = [[answer, "stop"] for line, answer in _prompts("demo") if line.get("prompt") != ENGLISH]
    assert result["dtype"] in {"float16", "bfloat16"}  # whichever this CPU computes by itself
    assert result["alone"][: len(poems)] == poems
    assert result["together"][: len(poems)] == poems
