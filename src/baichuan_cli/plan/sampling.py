"""How tokens are chosen: the model's own generation config, and what a person puts in its place.

Every parameter that matters is decided here and sent with each request, because what vLLM would take by itself
differs between releases: its own defaults up to 0.6.5, the checkpoint's generation config later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID, Model
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import Layer, Setting, SettingValue
from baichuan_cli.plan.settings import SAMPLING, read

_END_OF_TEXT = 2  # `</s>`, in every Baichuan tokenizer
_FILE = "generation_config.json"
_MAX_TOKENS = 512

_DEFAULTS: Mapping[str, Setting] = {
    "temperature": Setting(1.0, "vLLM default", ""),
    "top_p": Setting(1.0, "vLLM default", ""),
    "top_k": Setting(-1, "vLLM default", "off"),
    "repetition_penalty": Setting(1.0, "vLLM default", "off"),
    "max_tokens": Setting(_MAX_TOKENS, "bcli default", "vLLM's own 16 cuts an answer off"),
}


def resolve_sampling(model: Model, layers: Sequence[Layer]) -> dict[str, Setting]:
    """Decide the sampling parameters.

    Args:
        model: supplies its generation config and what ends its answers.
        layers: what a person asks for, in rising precedence.

    Returns:
        Settings by the names of vLLM's SamplingParams, in the order of `SAMPLING`.

    Raises:
        BcliError: values that make no sense, alone or together.
    """
    decided = {**_DEFAULTS, **_from_model(model)}
    for layer in layers:
        for name, value in layer.sampling.items():
            decided[name] = Setting(value, layer.source, "")
    if "ignore_eos" in decided and decided["ignore_eos"].value:
        decided["stop_token_ids"] = Setting(
            (), decided["ignore_eos"].source, "ignore_eos: nothing ends an answer early"
        )
    _check(decided)
    return {name: decided[name] for name in SAMPLING if name in decided}


def _check(decided: Mapping[str, Setting]) -> None:
    """Refuse combinations that vLLM raises on.

    Raises:
        BcliError: several answers of greedy sampling, or more tokens at least than at most.
    """
    value = {name: setting.value for name, setting in decided.items()}
    answers, least, most = value.get("n", 1), value.get("min_tokens", 0), value["max_tokens"]
    if answers != 1 and value["temperature"] == 0:
        raise BcliError(
            f"n is {answers}, but temperature 0 gives the same answer every time.", hint="Add --temperature 0.7."
        )
    assert isinstance(least, int) and isinstance(most, int)
    if least > most:
        raise BcliError(f"min_tokens {least} is more than max_tokens {most}.")


def _from_model(model: Model) -> dict[str, Setting]:
    given = model.generation_defaults
    decided = {
        name: Setting(_given(name, given[name]), "model", _FILE)
        for name in ("temperature", "top_p", "top_k", "repetition_penalty")
        if name in given
    }
    if "max_new_tokens" in given:
        decided["max_tokens"] = Setting(
            _given("max_tokens", given["max_new_tokens"]), "model", f"{_FILE} max_new_tokens"
        )
    if given.get("do_sample") is False:
        decided["temperature"] = Setting(0.0, "model", f"{_FILE}: do_sample is false, so greedy")
    if model.chat_family:
        reason = "</s>, and the role tokens that begin another turn"
        decided["stop_token_ids"] = Setting((_END_OF_TEXT, USER_ID, ASSISTANT_ID), "model", reason)
    else:
        decided["stop_token_ids"] = Setting((_END_OF_TEXT,), "model", "</s>")
    return decided


def _given(name: str, raw: object) -> SettingValue:
    return read(SAMPLING, name, raw, f"{_FILE}: {name}", ExitCode.INVALID)
