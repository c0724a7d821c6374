"""One engine on the random checkpoint, measured in this process; `peers.py` starts it and reads what it prints.

    python benchmarks/peer_engines.py ENGINE DTYPE FOLDER [NAME=VALUE ...]

ENGINE is bcli, transformers or llama.cpp; `NAME=VALUE` are settings of bcli's plan. FOLDER is what `peers.py` made.
Every engine gets the same random token ids and answers greedily, with as many threads as there are cores. Times hold
everything from ids to ids.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PASSES = 2
#: Name, prompts at once, tokens in, tokens out; what is counted is tokens out, of the last one tokens in.
SHAPES = (("batch 1", 1, 32, 128), ("batch 16", 16, 32, 64), ("prefill", 1, 512, 1))

Prompts = Sequence[Sequence[int]]


class Answers(Protocol):
    """An engine that is ready."""

    def __call__(self, prompts: Prompts, tokens: int) -> list[list[int]]:
        """Return so many greedy tokens for each prompt; all prompts have one length and run at once."""
        ...


@contextmanager
def bcli(folder: Path, dtype: str, assignments: Sequence[str]) -> Iterator[Answers]:
    """Start vLLM as `bcli bench` does: by the plan, with the `cpu` profile."""
    from baichuan_cli.bench.offline import run_pass
    from baichuan_cli.bench.workload import Prompt
    from baichuan_cli.cli.bench.offline import open_session, plan_benchmark
    from baichuan_cli.cli.output import Output
    from baichuan_cli.cli.planning import Wishes

    wishes = Wishes(
        model=str(folder / "baichuan"), profile="cpu", settings={"dtype": dtype}, assignments=tuple(assignments)
    )
    quiet = Output(stdout=io.StringIO(), stderr=io.StringIO())
    grounded = plan_benchmark(wishes, quiet, temperature=0.0, prefix_cache=False)
    with open_session(grounded, quiet, verbose=False, ceiling=False) as (session, _):

        def answer(prompts: Prompts, tokens: int) -> list[list[int]]:
            done = run_pass(session.engine, [Prompt(tuple(prompt), tokens) for prompt in prompts])
            ordered = sorted(done.completions, key=lambda completion: int(completion.request_id))
            return [list(completion.choices[0].token_ids) for completion in ordered]

        yield answer


@contextmanager
def transformers(folder: Path, dtype: str, assignments: Sequence[str]) -> Iterator[Answers]:
    """Load the Llama and call `generate`, with transformers' own defaults for the cache and attention."""
    import torch
    from transformers import LlamaForCausalLM

    assert not assignments, "settings are bcli's"
    model = LlamaForCausalLM.from_pretrained(folder / "llama", dtype=getattr(torch, dtype))
    model.generation_config.eos_token_id = None  # no answer ends early

    def answer(prompts: Prompts, tokens: int) -> list[list[int]]:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            made = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0
            )
        return made[:, ids.shape[1] :].tolist()

    yield answer


@contextmanager
def llama_cpp(folder: Path, dtype: str, assignments: Sequence[str]) -> Iterator[Answers]:
    """Load the GGUF file and decode with llama.cpp's own calls: its Python class knows one sequence at a time."""
    import llama_cpp
    import numpy

    assert not assignments, "settings are bcli's"
    llama_cpp.llama_backend_init()
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    path = str(folder / f"{dtype}.gguf")
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    assert model, path
    options = llama_cpp.llama_context_default_params()
    options.n_seq_max = max(prompts for _, prompts, _, _ in SHAPES)
    options.n_ctx = options.n_seq_max * 640
    options.n_batch = 2048
    options.n_threads = options.n_threads_batch = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    context = llama_cpp.llama_init_from_model(model, options)
    assert context, path
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch = llama_cpp.llama_batch_init(options.n_batch, 0, 1)

    def put(entries: Sequence[tuple[int, int, int, bool]]) -> None:
        """Decode tokens, each with its position, its sequence and whether its logits are wanted."""
        for index, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[index], batch.pos[index], batch.logits[index] = token, position, wanted
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
        batch.n_tokens = len(entries)
        assert llama_cpp.llama_decode(context, batch) == 0

    def best(index: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(context, index)
        return int(numpy.ctypeslib.as_array(logits, (vocabulary,)).argmax())

    def answer(prompts: Prompts, tokens: int) -> list[list[int]]:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        length = len(prompts[0])
        put(
            [
                (token, position, sequence, position == length - 1)
                for sequence, prompt in enumerate(prompts)
                for position, token in enumerate(prompt)
            ]
        )
        answers = [[best((sequence + 1) * length - 1)] for sequence in range(len(prompts))]
        for number in range(1, tokens):
            put([(made[-1], length + number - 1, sequence, True) for sequence, made in enumerate(answers)])
            for sequence, made in enumerate(answers):
                made.append(best(sequence))
        return answers

    yield answer


ENGINES: dict[str, Callable[[Path, str, Sequence[str]], object]] = {
    "bcli": bcli,
    "transformers": transformers,
    "llama.cpp": llama_cpp,
}


def main() -> None:
    """Load, measure every shape, and print what came of it."""
    name, dtype, folder, *assignments = sys.argv[1:]
    draw = random.Random(11)

    def prompts(count: int, length: int) -> list[list[int]]:
        return [[draw.randrange(1000, 60_000) for _ in range(length)] for _ in range(count)]

    started = time.perf_counter()
    with ENGINES[name](Path(folder), dtype, assignments) as answer:  # type: ignore[attr-defined]
        found: dict[str, object] = {"load": time.perf_counter() - started}
        found["answers"] = answer(prompts(2, 24), 8)  # the same prompts for every engine
        for shape, count, tokens_in, tokens_out in SHAPES:
            seconds = []
            for _ in range(1 + PASSES):
                asked = prompts(count, tokens_in)
                begun = time.perf_counter()
                answers = answer(asked, tokens_out)
                seconds.append(time.perf_counter() - begun)
                assert [len(each) for each in answers] == [tokens_out] * count
            counted = tokens_in if tokens_out == 1 else tokens_out
            found[shape] = count * counted / statistics.median(seconds[1:])
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB
    print(json.dumps(found))


if __name__ == "__main__":
    main()
