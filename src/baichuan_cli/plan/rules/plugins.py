"""Whether vLLM will load bcli's plugin, without which its later releases have no Baichuan."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse
from baichuan_cli.plan.releases import BAICHUAN_IN_TREE

ALLOWED_PLUGINS = "VLLM_PLUGINS"

_OURS = "baichuan"  # the entry point's name


def plugin_allowed(draft: Draft) -> Iterator[Outcome]:
    """Refuse a list of allowed plugins without bcli's where vLLM has no Baichuan of its own."""
    exported = draft.exported.get(ALLOWED_PLUGINS)
    if exported is None or allows_ours(exported) or draft.release.matches(BAICHUAN_IN_TREE):
        return
    others = [name.strip() for name in exported.split(",") if name.strip() not in ("", _OURS)]
    yield Refuse(
        f"{ALLOWED_PLUGINS}={exported} is set: it keeps bcli's plugin {_OURS} out, and vLLM {draft.release} has no"
        " Baichuan without it.",
        f"unset {ALLOWED_PLUGINS}, or export {ALLOWED_PLUGINS}={','.join((*others, _OURS))}",
    )


def allows_ours(exported: str) -> bool:
    """Tell whether a value of VLLM_PLUGINS has bcli's plugin; vLLM takes the names between commas as they are."""
    return _OURS in exported.split(",")
