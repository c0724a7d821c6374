"""What is sent: exact lengths, no two prompts alike, and the filters that other benchmarks use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.bench.choose import Wanted, choose_workload
from baichuan_cli.bench.legacy import LegacyPrompts
from baichuan_cli.bench.random_prompts import RandomPrompts, plain_token_ids, published_token_ids
from baichuan_cli.bench.verse import Verse
from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import BcliError
from baichuan_cli.tokenizer.load import Tokenizer, load_tokenizer

SPECIAL = ("<unk>", "<s>", "</s>", "<reserved_102>", "<reserved_106>")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(demo_path("demo"))


@given(st.integers(4, 64), st.integers(1, 50), st.integers(0, 1000))
def test_random_prompts_are_unique_and_exactly_as_long(length: int, count: int, seed: int) -> None:
    workload = RandomPrompts(range(100, 4000), length, 7, seed=seed)
    prompts = workload.draw(count, 0)
    assert len({prompt.token_ids for prompt in prompts}) == count
    assert {len(prompt.token_ids) for prompt in prompts} == {length}
    assert {prompt.output_tokens for prompt in prompts} == {7}
    assert prompts == workload.draw(count, 0)
    ids = {prompt.token_ids for prompt in prompts}
    others = (
        workload.draw(count, 1),
        workload.draw(count, -1),
        RandomPrompts(range(100, 4000), length, 7).draw(count, 7),
    )
    assert not any(prompt.token_ids in ids for other in others for prompt in other)


def test_more_prompts_than_there_are_is_said() -> None:
    with pytest.raises(BcliError, match="only 9 different prompts of 2 tokens"):
        RandomPrompts(range(3), 2, 1).draw(10, 0)


def test_random_tokens_are_ordinary_ones(tokenizer: Tokenizer) -> None:
    ids = plain_token_ids(demo_path("demo"))
    spellings = [tokenizer.token(token_id) or "" for token_id in ids]
    assert len(ids) > 1000
    assert not set(SPECIAL) & set(spellings)
    assert not any(spelling.startswith(("<0x", "<reserved_")) for spelling in spellings)


@pytest.mark.parametrize("name", ["baichuan-7b", "baichuan2-13b-chat"])
def test_random_tokens_of_a_model_elsewhere_are_in_its_vocabulary(name: str) -> None:
    catalogue = load_catalogue()
    architecture = resolve_model(name).architecture
    ids = published_token_ids(architecture)
    assert catalogue.find(name) is not None
    assert min(ids) >= 1000 and max(ids) < architecture.vocab_size


def test_verse_is_text_of_the_exact_length(tokenizer: Tokenizer) -> None:
    prompts = Verse(tokenizer, 100, 5).draw(20, turn=1)
    assert {len(prompt.token_ids) for prompt in prompts} == {100}
    assert len({prompt.token_ids for prompt in prompts}) == 20
    assert all("，" in (prompt.text or "") or "'" in (prompt.text or "") for prompt in prompts)


def test_legacy_prompts_say_why_they_flatter(tokenizer: Tokenizer) -> None:
    workload = LegacyPrompts(tokenizer, 32, 128)
    first, second = workload.draw(2, turn=0)
    assert first == second
    assert first.text == "hi" * 31
    assert workload.why_it_flatters == (
        "legacy figures flatter: all prompts are the same, so a prefix cache computes them once; "
        f"each has {len(first.token_ids)} tokens and is counted as 32; nothing is warmed up"
    )


def conversation(question: str, *answers: str) -> dict[str, object]:
    turns = [{"from": "human", "value": question}, *({"from": "gpt", "value": answer} for answer in answers)]
    return {"conversations": turns}


def test_sharegpt_takes_the_first_two_turns_that_are_neither_too_short_nor_too_long(tmp_path: Path) -> None:
    path = tmp_path / "sharegpt.json"
    good = conversation("床前明月光疑是地上霜", "举头望明月低头思故乡", "no")
    bad = [
        conversation("好", "举头望明月低头思故乡"),  # a prompt below 4 tokens
        conversation("床前明月光疑是地上霜", "好"),  # an answer below 4
        conversation("床前明月光疑是地上霜"),  # one turn
        conversation("明月" * 2000, "举头望明月低头思故乡"),
        conversation("床前明月光疑是地上霜", "明月" * 3000),
    ]
    path.write_text(json.dumps([*bad, good]), encoding="utf-8")
    model = resolve_model("demo")
    tokenizer = load_tokenizer(demo_path("demo"))
    chosen = choose_workload(Wanted(dataset=str(path), num_prompts=1), model, 512)
    (prompt,) = chosen.workload.draw(1, turn=0)
    assert prompt.token_ids == tuple(tokenizer.encode("床前明月光疑是地上霜"))
    assert prompt.output_tokens == len(tokenizer.encode("举头望明月低头思故乡"))
    with pytest.raises(BcliError, match="only 1 usable conversations, not 2"):
        chosen.workload.draw(2, turn=0)
    assert chosen.workload.shape["longest"] == 512
    small = choose_workload(Wanted(dataset=str(path), num_prompts=1), model, 10)
    with pytest.raises(BcliError, match="only 0 usable conversations, not 1"):  # none fits that context
        small.workload.draw(1, turn=0)


def test_prompts_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    chat = {"messages": [{"role": "user", "content": "《静夜思》"}], "max_tokens": 9, "temperature": 0.5}
    path.write_text(json.dumps({"prompt": "床前"}) + "\n" + json.dumps(chat) + "\n", encoding="utf-8")
    chosen = choose_workload(Wanted(dataset=str(path), output_len=None), resolve_model("demo"), 512)
    plain, asked = chosen.workload.draw(chosen.num_prompts, turn=0)
    assert (plain.text, plain.output_tokens) == ("床前", 128)
    assert (asked.output_tokens, asked.sampling) == (9, {"temperature": 0.5})
    assert asked.token_ids[0] == 195  # the user's turn


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(dataset="shargpt"), "There is no data set 'shargpt'"),
        (Wanted(dataset="sharegpt"), "There is no data set .*ShareGPT_V3"),
        (Wanted(dataset="x.jsonl", input_len=3), "--input-len does not go with x.jsonl"),
        (Wanted(legacy=True, dataset="sonnet"), "--legacy has prompts of its own"),
        (Wanted(input_len=500, output_len=20), r"500 \+ 20 tokens do not fit a context of 512"),
    ],
)
def test_what_cannot_be_sent_is_refused(wanted: Wanted, message: str) -> None:
    with pytest.raises(BcliError, match=message):
        choose_workload(wanted, resolve_model("demo"), 512)


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        (Wanted(input_len=500, output_len=20), "Use --input-len 492, or a longer --max-model-len."),
        (Wanted(input_len=5, output_len=512), "Use a shorter --output-len, or a longer --max-model-len."),
    ],
)
def test_lengths_that_fit_are_named(wanted: Wanted, hint: str) -> None:
    with pytest.raises(BcliError) as caught:
        choose_workload(wanted, resolve_model("demo"), 512)
    assert caught.value.hint == hint
