"""Write src/baichuan_cli/self_check/recorded.json: what the float32 pass says of the demo models.

    python tools/write_self_check_record.py

To be run when the demo models or the prompts of the self-check change; a test tells when the record is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.demo import DEMO_NAMES
from baichuan_cli.self_check.ask import ANSWER_TOKENS
from baichuan_cli.self_check.causes import right_way
from baichuan_cli.self_check.forward import Asked, scores
from baichuan_cli.self_check.probe import prompts_for
from baichuan_cli.self_check.recorded import Recorded
from baichuan_cli.self_check.weights import open_weights, shape_of
from baichuan_cli.tokenizer.load import load_tokenizer

RECORD = Path(__file__).parents[1] / "src" / "baichuan_cli" / "self_check" / "recorded.json"


def record(name: str) -> list[dict[str, object]]:
    """Return the greedy answers of a demo model in float32, with the log-probabilities of prompts and answers."""
    model = resolve_model(name)
    weights, shape, way = open_weights(model), shape_of(model), [right_way(model)]
    entries: list[dict[str, object]] = []
    for prompt in prompts_for(load_tokenizer(require_local(model)), model.architecture.context_length):
        ids = list(prompt)
        for _ in range(ANSWER_TOKENS):
            [found] = scores(weights, shape, [Asked(tuple(ids), len(prompt), ((len(ids) - 1, 0),))], way)
            ids.append(int(found.choices[0][0]))
        answer = tuple(ids[len(prompt) :])
        [found] = scores(weights, shape, [Recorded(prompt, answer, ()).asked], way)
        logprobs = [round(value, 5) for value in found.places[0].tolist()]
        entries.append({"prompt": prompt, "answer": answer, "logprobs": logprobs})
    return entries


def main() -> None:
    """Write the record of both demo models, one prompt a line."""
    models = []
    for name in DEMO_NAMES:
        lines = ",\n".join(f"  {json.dumps(entry)}" for entry in record(name))
        models.append(f'"{name}": [\n{lines}\n]')
    RECORD.write_text("{" + ",\n".join(models) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
