"""Answer a batch slowly, to be killed on the way: `python killed_writer.py ANSWERS PROMPTS SECONDS`.

PROMPTS is their number, of which every tenth fails; SECONDS is what one answer takes. The prompts are made here and
not read from a file, because loading the parser would take longer than the rest of a short life.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from baichuan_cli.batch.answers import open_answers
from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.records import RunInfo
from baichuan_cli.batch.run import run_batch
from baichuan_cli.engine.request import Choice, Completion, Request
from baichuan_cli.errors import BcliError


class SlowEngine:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self, requests: Iterable[Request]) -> Iterator[Completion]:
        for request in requests:
            time.sleep(self.seconds)
            text = "长" * 3000  # a record of several pages has more room to be torn in
            yield Completion(request.request_id, 1, (Choice(0, text, (1,), "stop"),), None, self.seconds)


def encode(item: BatchItem) -> Request:
    if item.line % 10 == 0:
        raise BcliError("The prompt is too long.")
    return Request(item.custom_id, (1,))


if __name__ == "__main__":
    path, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    items = [BatchItem(line, f"line-{line}", "x", None, {}, None, None) for line in range(1, count + 1)]
    run = RunInfo("demo", {})
    with open_answers(path, items, run, input_path=None) as answers:
        run_batch(items, SlowEngine(seconds), answers, run, encode=encode, progress=lambda _: None)
