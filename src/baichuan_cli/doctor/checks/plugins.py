"""Who tells vLLM about Baichuan: its own code, bcli's plugin, or something else."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn
from baichuan_cli.plan.releases import BAICHUAN_IN_TREE, PLUGINS

_OURS = "baichuan"
_VALUE = "baichuan_cli.vllm_plugin:register"


def plugins(facts: Facts) -> Iterator[Verdict]:
    """Judge the entry points that vLLM finds."""
    if facts.release is None:
        return
    found = facts.packages.plugins
    ours = [plugin for plugin in found if plugin.name == _OURS or plugin.value == _VALUE]
    names = ", ".join(plugin.name for plugin in found) or "none"
    if len(ours) > 1:
        packages = sorted({plugin.package for plugin in ours})
        yield warn(
            "plugins",
            f"{' and '.join(packages)} both bring a plugin for Baichuan, and vLLM loads only one of them",
            f"Keep baichuan-cli: pip uninstall {' '.join(name for name in packages if name != 'baichuan-cli')}",
        )
    elif not facts.release.matches(PLUGINS):
        yield ok("plugins", f"vLLM {facts.release} loads none; bcli registers its own where it starts vLLM")
    elif not ours:
        needed = not facts.release.matches(BAICHUAN_IN_TREE)
        says = f"bcli's plugin is not among what vLLM finds: {names}"
        fix = "Install bcli into the environment that has vLLM, with pip install."
        yield fail("plugins", says, fix) if needed else warn("plugins", says, fix)
    else:
        yield ok("plugins", names)


def baichuan(facts: Facts) -> Iterator[Verdict]:
    """Judge whether vLLM knows Baichuan once the plugins are loaded."""
    if facts.release is None or not facts.imports.works("vllm"):
        return
    known = facts.imports.architectures
    if facts.imports.plugins_error:
        yield fail(
            "baichuan",
            f"a plugin of vLLM fails: {facts.imports.plugins_error}",
            "Uninstall the plugin, or leave it out of VLLM_PLUGINS.",
        )
    elif known:
        owner = "its own code" if facts.release.matches(BAICHUAN_IN_TREE) else "bcli's plugin"
        yield ok("baichuan", f"vLLM knows it by {owner}")
    elif known is not None:
        yield fail("baichuan", "vLLM does not know the model, even with its plugins", "unset VLLM_PLUGINS")
