"""The record that is shipped: it is what the pass says, of the prompts that are asked, and it judges the pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.demo import DEMO_NAMES
from baichuan_cli.errors import BcliError
from baichuan_cli.self_check.probe import OPENING, prompts_for
from baichuan_cli.self_check.recorded import check_pass, recorded
from baichuan_cli.self_check.weights import open_weights, shape_of
from baichuan_cli.tokenizer.load import load_tokenizer
from reference.poems import FAMOUS


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_the_pass_finds_the_record_again(name: str) -> None:
    model = resolve_model(name)
    check_pass(recorded(name), open_weights(model), shape_of(model), model)


@pytest.mark.parametrize("name", DEMO_NAMES)
def test_the_record_is_of_the_prompts_that_are_asked_and_begins_with_the_poem(name: str) -> None:
    tokenizer = load_tokenizer(require_local(resolve_model(name)))
    short, long = recorded(name)
    assert [short.prompt, long.prompt] == prompts_for(tokenizer, 2048)
    assert tokenizer.decode(short.prompt) == OPENING == FAMOUS[0].start
    assert FAMOUS[0].rest.startswith(tokenizer.decode(short.answer))
    assert (len(long.prompt), len(long.answer), len(long.logprobs)) == (160, 16, 175)


def test_an_engine_with_little_room_is_asked_less() -> None:
    tokenizer = load_tokenizer(require_local(resolve_model("demo")))
    assert [len(prompt) for prompt in prompts_for(tokenizer, 64)] == [5, 48]
    assert [len(prompt) for prompt in prompts_for(tokenizer, 8)] == [1, 1]


def test_a_pass_that_finds_something_else_is_not_believed() -> None:
    model = resolve_model("demo")
    short, _ = recorded("demo")
    moved = replace(short, logprobs=(short.logprobs[0] + 0.01, *short.logprobs[1:]))
    with pytest.raises(BcliError, match=r"The float32 pass over demo is 0\.01 away from what was recorded"):
        check_pass([moved], open_weights(model), shape_of(model), model)


def test_other_models_have_no_record() -> None:
    assert recorded("baichuan2-7b-chat") == ()
