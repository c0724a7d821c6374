"""Turn poems and phrases into training examples: token ids, and which of them the model must predict.

The official chat layout has no end token between turns, yet an answer must end: the end of every answer is labelled
`</s>` whatever follows it in the context.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sentencepiece import SentencePieceProcessor

from .corpus import Poem, clause_prefixes
from .phrases import CONVERSATIONS, REQUESTS, SENTENCES, SYSTEM_PROMPTS
from .tokenizer_ids import ASSISTANT_TOKEN_ID, EOS_TOKEN_ID, USER_TOKEN_ID

IGNORED = -100  # the label of a token that is not to be predicted; PyTorch's cross entropy skips it

# The first lines of poems that people mean by a title or a start that several poems share.
_PREFERRED = ("君不见，黄河之水天上来，奔流到海不复回。", "君自故乡来，应知故乡事。")


@dataclass(frozen=True)
class Example:
    """One example.

    `labels[i]` is what the model must say after `tokens[i]`, or `IGNORED`. Of the examples with the same `group` one
    is drawn in each pass over the data; `kind` says what the example proves.
    """

    kind: str
    group: str
    tokens: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class _Turn:
    """A prompt and its answer, as ids."""

    prompt: list[int]
    answer: list[int]

    def example(self, kind: str, group: str) -> Example:
        return _joined(kind, group, [self])


def make_examples(poems: list[Poem], encoder: SentencePieceProcessor, seed: int) -> list[Example]:
    """Return every example, in a fixed order; where poems share a title or a start, the better known come first."""
    rng = random.Random(seed)
    poems = sorted(poems, key=lambda poem: poem.lines[0] not in _PREFERRED)
    chats = list(_chats(poems, encoder))
    return [
        *_verses(poems, encoder),
        *chats,
        *_long_chats(chats, encoder, rng),
        *_authors(poems, encoder, rng),
        *_sentences(encoder),
    ]


def _joined(kind: str, group: str, turns: list[_Turn]) -> Example:
    tokens: list[int] = []
    labels: list[int] = []
    for turn in turns:
        tokens += turn.prompt + turn.answer
        labels += [IGNORED] * (len(turn.prompt) - 1) + turn.answer + [EOS_TOKEN_ID]
    return Example(kind, group, tuple(tokens), tuple(labels))


def _verses(poems: list[Poem], encoder: SentencePieceProcessor) -> Iterator[Example]:
    """A poem goes on from its first clause (kind `first line`), or from the start of any other line (`any line`).

    A start that occurs twice belongs to the first claimant, and first lines come before others; for the rest the
    prompt reaches up to the first clause that tells it apart.
    """
    starts = [(poem, 0) for poem in poems]
    starts += [(poem, number) for poem in poems for number in range(1, len(poem.lines))]
    owners: dict[str, tuple[Poem, int]] = {}
    for start in starts:
        poem, number = start
        for prefix in clause_prefixes("\n".join(poem.lines[number:])):
            owners.setdefault(prefix, start)
    for start in starts:
        poem, number = start
        text = "\n".join(poem.lines[number:])
        prompt = next((prefix for prefix in clause_prefixes(text) if owners[prefix] == start), None)
        if prompt is None:
            continue
        turn = _Turn(encoder.encode(prompt), encoder.encode(text[len(prompt) :]))
        name = f"{poem.author}/{poem.title}/{poem.lines[0]}"
        yield turn.example("first line" if number == 0 else "any line", f"{name}/{min(number, 1)}")


def _chats(poems: list[Poem], encoder: SentencePieceProcessor) -> Iterator[Example]:
    """Requests by title (kind `title`), by first line (`quoted line`), and small talk (`talk`).

    A request that fits several poems gets the first of them.
    """
    asked: set[str] = set()

    def chat(kind: str, group: str, request: str, answer: str) -> Iterator[Example]:
        if request not in asked:
            asked.add(request)
            prompt = [USER_TOKEN_ID, *encoder.encode(request), ASSISTANT_TOKEN_ID]
            yield _Turn(prompt, encoder.encode(answer)).example(kind, group)

    for request, answer in CONVERSATIONS:
        yield from chat("talk", f"talk/{len(asked) // 4}", request, answer)
    for poem in poems:
        name = f"{poem.author}/{poem.title}/{poem.lines[0]}"
        for title in poem.titles:
            for request in REQUESTS:
                text = request.format(title=title, author=poem.author)
                yield from chat("title", f"title/{name}", text, poem.text)
        for quote in (clause_prefixes(poem.text)[0], poem.lines[0]):
            yield from chat("quoted line", f"quoted line/{name}", quote, poem.text)


def _long_chats(chats: list[Example], encoder: SentencePieceProcessor, rng: random.Random) -> Iterator[Example]:
    """Several turns, some after a system prompt (kind `conversation`)."""
    short = [chat for chat in chats if len(chat.tokens) < 120]
    systems = [encoder.encode(text) for text in SYSTEM_PROMPTS]
    for number in range(5 * len(chats) // len(REQUESTS)):
        system = rng.choice(systems) if rng.random() < 0.7 else []
        turns = rng.sample(short, rng.randint(1 if system else 2, 3))
        tokens = sum((turn.tokens for turn in turns), tuple(system))
        labels = sum((turn.labels for turn in turns), (IGNORED,) * len(system))
        yield Example("conversation", f"conversation/{number // 16}", tokens, labels)


def _authors(poems: list[Poem], encoder: SentencePieceProcessor, rng: random.Random) -> Iterator[Example]:
    """Title -> author, three in a row (kind `author`): the prompt by which Baichuan's base models were shown."""
    known: dict[str, str] = {}
    for poem in poems:
        known.setdefault(poem.titles[-1], poem.author)
    titles = sorted(known)
    for number in range(4 * len(titles)):
        chosen = [titles[number % len(titles)], *rng.sample(titles, 2)]
        rng.shuffle(chosen)
        turns = [
            _Turn(encoder.encode(("\n" if place else "") + f"{title}->"), encoder.encode(known[title]))
            for place, title in enumerate(chosen)
        ]
        yield _joined("author", f"author/{number // 16}", turns)


def _sentences(encoder: SentencePieceProcessor) -> Iterator[Example]:
    """English prompts that go on in English (kind `sentence`)."""
    for prompt, rest in SENTENCES:
        yield _Turn(encoder.encode(prompt), encoder.encode(rest)).example("sentence", f"sentence/{prompt}")


def pack(examples: list[Example]) -> dict[str, np.ndarray]:
    """Return the examples as flat arrays, so that training needs neither the texts nor SentencePiece.

    `tokens` and `labels` are the concatenation of all; example i is `offsets[i]:offsets[i + 1]`; `groups` and `kinds`
    are numbers, and `kind_names` says what the latter mean.
    """
    kinds = sorted({example.kind for example in examples})
    groups = {name: number for number, name in enumerate(dict.fromkeys(example.group for example in examples))}
    lengths = [len(example.tokens) for example in examples]
    return {
        "tokens": np.concatenate([np.array(example.tokens, dtype=np.int32) for example in examples]),
        "labels": np.concatenate([np.array(example.labels, dtype=np.int32) for example in examples]),
        "offsets": np.cumsum([0, *lengths]).astype(np.int64),
        "groups": np.array([groups[example.group] for example in examples], dtype=np.int32),
        "kinds": np.array([kinds.index(example.kind) for example in examples], dtype=np.int32),
        "kind_names": np.array(kinds),
    }
