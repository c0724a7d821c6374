"""Whether vLLM can load the checkpoint, and whether it needs the checkpoint's own code for that."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse, Warn
from baichuan_cli.plan.releases import PLUGINS

_READ_AND_TRUST = "If it asks for the checkpoint's own code, read its .py files, then add --trust-remote-code."


def loadable(draft: Draft) -> Iterator[Outcome]:
    """Refuse a checkpoint in a format that vLLM cannot load."""
    if draft.model.not_loadable:
        yield Refuse(
            f"vLLM cannot load {draft.model.name}: {draft.model.not_loadable}",
            "Use the unquantized or the GPTQ checkpoint: bcli models list",
        )


def remote_code(draft: Draft) -> Iterator[Outcome]:
    """Keep the checkpoint's own code from running unless an old vLLM cannot do without it.

    From 0.5.5 on bcli's plugin supplies the configuration and the tokenizer in every process of vLLM. Before, it does
    so in bcli's own process only, so a server knows nothing of them.
    """
    trusted = bool(draft.settings["trust_remote_code"].value)
    if draft.release.matches(PLUGINS):
        if trusted:
            yield Warn(
                f"trust_remote_code runs Python code from the checkpoint, and vLLM {draft.release} does not need it",
                "Leave it out: bcli's plugin supplies the configuration and the tokenizer.",
            )
    elif trusted:
        return
    elif draft.purpose == "offline":
        yield Warn(
            f"vLLM {draft.release} loads no plugins: bcli gives it the configuration in this process",
            _READ_AND_TRUST,
        )
    else:
        yield Refuse(
            f"vLLM {draft.release} loads no plugins, so its server needs the checkpoint's own code for the"
            " configuration and the tokenizer.",
            _READ_AND_TRUST,
        )
