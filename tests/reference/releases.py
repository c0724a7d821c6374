"""Tests of what an older vLLM, or what comes with it, does not have."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

from baichuan_cli.engine.installed import installed_release


def older_than(release: str) -> bool:
    """Tell whether the installed vLLM is older than a release."""
    installed = installed_release()
    return installed is not None and not installed.matches(f">={release}")


def since(release: str, what: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test on vLLM releases before one, saying what they are like."""
    return pytest.mark.skipif(older_than(release), reason=f"vLLM {installed_release()} {what}")


def transformers_5(what: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test on transformers 4, saying what it is like."""
    found = version("transformers")
    return pytest.mark.skipif(Version(found).major < 5, reason=f"transformers {found} {what}")
