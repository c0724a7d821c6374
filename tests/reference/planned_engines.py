"""Answer prompts on real vLLM by bcli's own plan: `python planned_engines.py CASES.json RESULTS.json`.

A case is {"name", "model", "dtype" (null: the plan decides), "prompts": a batch file, "together": a number}. A result
has the dtype that the plan chose, the answers to the prompts one at a time, and the answers to `together` copies of
them, in turn, all at once. An answer is [text, finish reason]. Engines follow one another in this one process, because
to import vLLM takes longer than to start an engine.
"""

from __future__ import annotations

import gc
import json
import sys
from contextlib import closing
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from baichuan_cli.batch.prompts import read_batch
from baichuan_cli.cli.answering import make_job
from baichuan_cli.cli.planning import Wishes, make_plan
from baichuan_cli.engine.log import EngineLog
from baichuan_cli.engine.offline import OfflineEngine
from baichuan_cli.engine.request import Completion, Request
from baichuan_cli.engine.start import start_offline


def _answers(engine: OfflineEngine, requests: list[Request]) -> list[list[str]]:
    """Return the answers in the order of the requests."""
    numbered = [replace(request, request_id=str(number)) for number, request in enumerate(requests)]
    found: dict[str, list[str]] = {}
    for outcome in engine.run(numbered):
        assert isinstance(outcome, Completion), outcome
        [choice] = outcome.choices
        found[outcome.request_id] = [choice.text, choice.finish_reason]
    return [found[request.request_id] for request in numbered]


def _run(case: dict[str, Any]) -> dict[str, Any]:
    plan, _ = make_plan(Wishes(model=case["model"], settings={"dtype": case["dtype"]}), purpose="offline")
    assert not plan.refusals, plan.refusals
    job = make_job(plan, read_batch(Path(case["prompts"])).items, chat=False, system=None)
    requests = [job.encode(item) for item in job.items]
    with closing(start_offline(plan, EngineLog(None, sys.stdout, sys.stderr))) as engine:
        return {
            "dtype": plan.settings["dtype"].value,
            "alone": [answer for request in requests for answer in _answers(engine, [request])],
            "together": _answers(engine, list(islice(cycle(requests), case["together"]))),
        }


def main(cases: Path, results: Path) -> None:
    """Run every case."""
    found = {}
    for case in json.loads(cases.read_text()):
        found[case["name"]] = _run(case)
        gc.collect()
    results.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
