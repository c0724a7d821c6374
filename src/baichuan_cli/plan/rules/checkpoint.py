"""Whether vLLM can load the checkpoint, and whether it needs the checkpoint's own code for that."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Forbid, Outcome, Refuse, Warn
from baichuan_cli.plan.releases import BAICHUAN_IN_TREE

_7B_HIDDEN_SIZE = 4096
_BAICHUAN2_VOCABULARY = 125_696

_PLUGIN_READS_IT = "Use vLLM 0.25 or later, where bcli's plugin reads it from the config."


def loadable(draft: Draft) -> Iterator[Outcome]:
    """Refuse a checkpoint in a format that vLLM cannot load."""
    if draft.model.not_loadable:
        yield Refuse(
            f"vLLM cannot load {draft.model.name}: {draft.model.not_loadable}",
            "Use the unquantized or the GPTQ checkpoint: bcli models list",
        )


def in_tree_reading(draft: Draft) -> Iterator[Outcome]:
    """Refuse shapes that vLLM's own Baichuan takes for another model.

    To 0.24 it tells the models apart by two numbers: rotary positions where hidden_size is 4096 (or the class is
    Baichuan-7B's), ALiBi elsewhere; NormHead where the vocabulary has 125,696 entries. bcli's plugin reads the config.
    """
    if not draft.release.matches(BAICHUAN_IN_TREE):
        return
    shape = draft.model.architecture
    rope = shape.class_name == "BaiChuanForCausalLM" or shape.hidden_size == _7B_HIDDEN_SIZE
    positions = "rope" if rope else "alibi"
    if positions != shape.position_embedding:
        yield Forbid(
            f"hidden_size {shape.hidden_size}: vLLM {draft.release} would take the positions of {draft.model.name} for"
            f" {positions}, and they are {shape.position_embedding}.",
            _PLUGIN_READS_IT,
        )
    if (shape.vocab_size == _BAICHUAN2_VOCABULARY) != shape.norm_head:
        would = "leave out" if shape.norm_head else "add"
        yield Forbid(
            f"vocab_size {shape.vocab_size}: vLLM {draft.release} would {would} the normalised output layer of"
            " Baichuan 2.",
            _PLUGIN_READS_IT,
        )


def remote_code(draft: Draft) -> Iterator[Outcome]:
    """Warn of the checkpoint's own code, which no release needs.

    From 0.5.5 on bcli's plugin supplies the configuration and the tokenizer in every process of vLLM. Before, bcli
    registers them in the process that runs the engine, and workers get them from there (run with 0.5.0).
    """
    if draft.settings["trust_remote_code"].value:
        yield Warn(
            f"trust_remote_code runs Python code from the checkpoint, and vLLM {draft.release} does not need it",
            "Leave it out: bcli supplies the configuration and the tokenizer.",
        )
