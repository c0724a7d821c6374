"""Sampling: the model's own generation config, then what a person puts in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from baichuan_cli.errors import BcliError
from baichuan_cli.plan.layers import from_command_line, from_config, from_environment
from baichuan_cli.plan.model import Setting
from baichuan_cli.plan.sampling import resolve_sampling
from plan.planning import DEMO, catalogue_model


def test_a_chat_models_own_settings() -> None:
    decided = resolve_sampling(catalogue_model("baichuan2-13b-chat"), ())
    assert decided == {
        "temperature": Setting(0.3, "model", "generation_config.json"),
        "top_p": Setting(0.85, "model", "generation_config.json"),
        "top_k": Setting(5, "model", "generation_config.json"),
        "repetition_penalty": Setting(1.05, "model", "generation_config.json"),
        "max_tokens": Setting(2048, "model", "generation_config.json max_new_tokens"),
        "stop_token_ids": Setting((2, 195, 196), "model", "</s>, and the role tokens that begin another turn"),
    }


def test_a_base_model_without_a_generation_config() -> None:
    decided = resolve_sampling(replace(DEMO, chat_family=None, generation_defaults={}), ())
    assert {name: setting.value for name, setting in decided.items()} == {
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_tokens": 512,
        "stop_token_ids": (2,),
    }
    assert decided["max_tokens"] == Setting(512, "bcli default", "vLLM's own 16 cuts an answer off")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"do_sample": False, "temperature": 0.3}, 0.0),
        ({"do_sample": True, "temperature": 0.3}, 0.3),
        ({"temperature": 0.3}, 0.3),
    ],
)
def test_no_sampling_means_greedy(given: Mapping[str, float], expected: float) -> None:
    assert resolve_sampling(replace(DEMO, generation_defaults=given), ())["temperature"].value == expected


def test_off_has_one_spelling() -> None:
    assert resolve_sampling(replace(DEMO, generation_defaults={"top_k": 0}), ())["top_k"].value == -1


def test_later_layers_win() -> None:
    layers = (
        from_config({"sampling": {"temperature": 0.1, "top_k": 1, "max_tokens": 1}}).layer,
        *from_environment({"BCLI_TEMPERATURE": "0.2", "BCLI_TOP_K": "2"}),
        *from_command_line({}, {"temperature": 0.3}),
    )
    decided = resolve_sampling(DEMO, layers)
    assert [decided[name] for name in ("temperature", "top_k", "max_tokens")] == [
        Setting(0.3, "--temperature", ""),
        Setting(2, "BCLI_TOP_K", ""),
        Setting(1, "config.yaml", ""),
    ]


def test_ignore_eos_lets_nothing_stop() -> None:
    decided = resolve_sampling(DEMO, from_command_line({}, {"ignore_eos": True}))
    assert decided["stop_token_ids"] == Setting((), "--ignore-eos", "ignore_eos: nothing ends an answer early")


def test_several_greedy_answers_are_refused() -> None:
    with pytest.raises(BcliError, match="n is 4, but temperature 0 gives the same answer every time"):
        resolve_sampling(DEMO, from_command_line({}, {"n": 4}))
    assert resolve_sampling(DEMO, from_command_line({}, {"n": 4, "temperature": 0.7}))["n"].value == 4


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(BcliError, match="min_tokens 200 is more than max_tokens 128"):
        resolve_sampling(DEMO, from_command_line({}, {"min_tokens": 200}))


def test_a_damaged_generation_config_is_named() -> None:
    with pytest.raises(BcliError, match=r"generation_config\.json: top_p: 7 is not a number above 0 to 1"):
        resolve_sampling(replace(DEMO, generation_defaults={"top_p": 7}), ())
