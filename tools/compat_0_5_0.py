"""Run bcli beside real vLLM 0.5.0, and write what came of it into docs/compatibility.md: `make compat-0.5.0`.

    python3 tools/compat_0_5_0.py
    COMPAT_PYTHON=/opt/venv/bin/python python3 tools/compat_0_5_0.py    # an environment that has it already

The environment is made in `.compat/` where it is not there yet. bcli is installed into it under pip's constraints of
everything that is there; if a package moves all the same, nothing is tested and this fails.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import build_vllm_0_5_0
from install_beside import constraints, moved

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / ".compat" / "vllm-0.5.0"
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- 0.5.0 -->", "<!-- /0.5.0 -->"
TEST_TOOLS = ("pytest>=8.2", "hypothesis>=6.100", "pyte>=0.8.2", "scipy>=1.13")
SHOWN = ("vllm", "torch", "transformers", "tokenizers", "huggingface-hub", "pydantic", "aiohttp", "numpy")

#: What is tested, in a person's words, and where.
PARTS = {
    "log-probabilities equal a float32 reference (RoPE, ALiBi, NormHead); worker processes; remote code; pyairports": (
        "tests/vllm_0_5",
    ),
    "both demo models recite: bfloat16 and float32, alone and among 64": ("tests/e2e/test_demo_models.py",),
    "`bcli generate`, as a person runs it": ("tests/e2e/test_generate_process.py",),
    "`bcli serve`: OpenAI's client, sampling, errors, keys, prompts in no log": ("tests/e2e/test_serve.py",),
    "`bcli chat` at a terminal": ("tests/e2e/test_chat.py",),
    "`bcli bench`, with a server and in a sweep": ("tests/e2e/test_bench.py",),
    "tokenizers, slow, fast and patched, and chat templates, token for token": (
        "tests/tokenizer",
        *(f"tests/vllm_plugin/test_{name}.py" for name in ("config", "fast_tokenizer", "register", "tokenizer")),
        "tests/vllm_plugin/test_request_defaults.py",
        "tests/test_chat_templates.py",
    ),
    "plans, checkpoints, batches, conversations": ("tests/plan", "tests/catalog", "tests/batch", "tests/chat"),
}
WIDTH = 120  # columns of the page
#: Tests of other releases, or of what is not the product.
LEFT_OUT = ("tests/plan/test_profile_tables.py", "tests/batch/test_docs.py")


@dataclass
class Result:
    """What became of one part's tests."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)  # why tests were skipped

    @property
    def failed(self) -> bool:
        return bool(self.counts["failed"]) or not self.counts["passed"]


def say(text: str) -> None:
    """Tell the person what is going on."""
    print(f"compat: {text}", file=sys.stderr, flush=True)


def environment() -> Path | None:
    """Return the Python that has vLLM 0.5.0, after making it where that is needed; None where it cannot be made."""
    if named := os.environ.get("COMPAT_PYTHON"):
        return Path(named)
    python = OWN / "bin" / "python"
    finished = OWN / "finished"
    if not finished.exists():
        say("making an environment with vLLM 0.5.0; this takes about ten minutes")
        if build_vllm_0_5_0.main([str(OWN)]) != 0:
            return None
        finished.touch()
    return python


def packages(python: Path) -> dict[str, str]:
    """Return what is installed, by normalised names."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in listed}


def install(python: Path, *wanted: str) -> bool:
    """Install something beside what is there; tell whether that went without moving anything."""
    before = packages(python)
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "constraints.txt"
        held.write_text(constraints({name: each for name, each in before.items() if name != "baichuan-cli"}))
        command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint", held]
        if subprocess.run([*command, *wanted], check=False).returncode != 0:
            say(f"pip cannot install {' '.join(wanted)} beside what is there")
            return False
    if changes := moved(before, packages(python)):
        say(f"installing {' '.join(wanted)} has moved {', '.join(changes)}")
    return not changes


def run(python: Path, tests: tuple[str, ...], folder: Path) -> Result:
    """Run some tests in that environment, and gather how they went."""
    report = folder / "report.xml"
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    # A folder of its own: pytest runs at the same time would clear each other's away.
    command += [f"--basetemp={folder / 'tests'}", *(f"--ignore={path}" for path in LEFT_OUT)]
    settings = {"OLD_TRANSFORMERS_PYTHON": str(python.absolute()), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=False, cwd=ROOT, env=os.environ | settings)
    return read_report(report.read_text(encoding="utf-8")) if report.exists() else Result()


def read_report(text: str) -> Result:
    """Read pytest's JUnit report."""
    result = Result()
    for case in ElementTree.fromstring(text).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            # Where a file is missed says nothing to others.
            result.reasons.add(re.sub(r"/\S*/", "", skipped.get("message") or ""))
        broken = case.find("failure") is not None or case.find("error") is not None
        result.counts["failed" if broken else "passed" if skipped is None else "skipped"] += 1
    return result


def section(before: dict[str, str], added: list[str], python: str, results: dict[str, Result]) -> str:
    """Return what the page says."""
    versions = ", ".join(f"{name} {before[name]}" for name in SHOWN if name in before)
    today = datetime.datetime.now(datetime.timezone.utc)
    return "\n".join(
        [
            "## vLLM 0.5.0",
            "",
            textwrap.fill(
                "The release in the images for K100 and Z100L: here upstream's, built for the CPU, on Python"
                f" {python}. Last run on {today:%Y-%m-%d}; `make compat-0.5.0` runs it again.",
                WIDTH,
            ),
            "",
            textwrap.fill(
                f"Installed there: {versions}. Beside them bcli needed {', '.join(added)}, and none of the"
                f" {len(before)} packages moved.",
                WIDTH,
            ),
            "",
            "| what | passed | failed | skipped |",
            "|---|---|---|---|",
            *(
                f"| {what} | {result.counts['passed']} | {result.counts['failed']} | {result.counts['skipped']} |"
                for what, result in results.items()
            ),
            "",
            *_reasons(results),
            "What is not seen here: the vendor's own changes to 0.5.0, GPUs, several cards, GPTQ and AWQ.",
        ]
    )


def _reasons(results: dict[str, Result]) -> Iterator[str]:
    reasons = sorted(set().union(*(result.reasons for result in results.values())))
    if reasons:
        yield "Skipped, because:"
        yield ""
        yield from (f"- {reason}" for reason in reasons)
        yield ""


def write_page(text: str) -> None:
    """Put a section between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> int:
    """Install, test and write; return 1 where anything failed."""
    python = environment()
    if python is None:
        return 1
    record = python.parents[1] / "bcli-beside.json"
    if not record.exists():
        before = packages(python)
        if not install(python, str(ROOT)):
            return 1
        added = sorted(packages(python).keys() - before.keys() - {"baichuan-cli"})
        record.write_text(json.dumps({"before": before, "added": added}))
    beside = json.loads(record.read_text())
    if not (install(python, str(ROOT)) and install(python, *TEST_TOOLS)):
        return 1
    if changes := moved(beside["before"], packages(python)):
        say(f"packages that were there have changed: {', '.join(changes)}")
        return 1
    results = {}
    for what, tests in PARTS.items():
        say(what)
        with tempfile.TemporaryDirectory() as folder:
            results[what] = run(python, tests, Path(folder))
    look = "import platform; print(platform.python_version())"
    version = subprocess.run([python, "-c", look], check=True, capture_output=True, text=True).stdout.strip()
    write_page(section(beside["before"], beside["added"], version, results))
    failed = [what for what, result in results.items() if result.failed]
    say(f"failed: {'; '.join(failed)}" if failed else f"all passed; {PAGE.relative_to(ROOT)} says so")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
