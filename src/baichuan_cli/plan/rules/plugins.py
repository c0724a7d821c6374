"""Whether vLLM will load bcli's plugin, without which its later releases have no Baichuan."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse, Warn
from baichuan_cli.plan.releases import BAICHUAN_IN_TREE, PLUGINS

ALLOWED_PLUGINS = "VLLM_PLUGINS"

_OURS = "baichuan"  # the entry point's name


def plugin_allowed(draft: Draft) -> Iterator[Outcome]:
    """Refuse a list of allowed plugins without bcli's where vLLM has no Baichuan of its own, and warn elsewhere."""
    exported = draft.exported.get(ALLOWED_PLUGINS)
    if exported is None or _allows_ours(exported) or not draft.release.matches(PLUGINS):
        return
    message = f"{ALLOWED_PLUGINS}={exported} is set: it keeps bcli's plugin {_OURS} out, and vLLM {draft.release}"
    hint = f"unset {ALLOWED_PLUGINS}, or export {ALLOWED_PLUGINS}={','.join((*others(exported), _OURS))}"
    if draft.release.matches(BAICHUAN_IN_TREE):
        yield Warn(f"{message} may ask for the checkpoint's own code", hint)
    else:
        yield Refuse(f"{message} has no Baichuan without it.", hint)


def others(exported: str) -> tuple[str, ...]:
    """Return the names in a value of VLLM_PLUGINS besides that of bcli's plugin."""
    names = (name.strip() for name in exported.split(","))
    return tuple(name for name in names if name not in ("", _OURS))


def _allows_ours(exported: str) -> bool:
    """Tell whether a value of VLLM_PLUGINS has bcli's plugin; vLLM takes the names between commas as they are."""
    return _OURS in exported.split(",")
