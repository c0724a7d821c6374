"""Run cases on real vLLM in a process of their own: `python engine_process.py CASES.json RESULTS.json`.

A case is {"name", "engine": keyword arguments of vllm.LLM, "rounds": [{"prompts": [[id, …], …], "max_tokens",
"prompt_logprobs", "lora"}]}. A result is, per round and prompt, the generated ids, how many prompt tokens came from
the prefix cache, and the log-probabilities that vLLM reports, by position and token id.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any


def _run(case: dict[str, Any]) -> list[list[dict[str, Any]]]:
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    engine = LLM(skip_tokenizer_init=True, disable_log_stats=True, seed=0, **case["engine"])
    rounds = []
    for round_ in case["rounds"]:
        sampling = SamplingParams(
            temperature=0,
            max_tokens=round_["max_tokens"],
            ignore_eos=True,
            detokenize=False,
            logprobs=4,
            prompt_logprobs=4 if round_["prompt_logprobs"] else None,
        )
        lora = round_.get("lora")
        outputs = engine.generate(
            [{"prompt_token_ids": ids} for ids in round_["prompts"]],
            sampling,
            use_tqdm=False,
            lora_request=LoRARequest("adapter", 1, lora) if lora else None,
        )
        rounds.append([_report(output) for output in outputs])
    return rounds


def _report(output: Any) -> dict[str, Any]:
    def plain(positions: list[Any] | None) -> list[dict[int, float]]:
        return [{token: entry.logprob for token, entry in (position or {}).items()} for position in positions or []]

    answer = output.outputs[0]
    return {
        "ids": list(answer.token_ids),
        "cached": getattr(output, "num_cached_tokens", None),  # 0.5.0 does not count them
        "prompt_logprobs": plain(output.prompt_logprobs),
        "logprobs": plain(answer.logprobs),
    }


def main(cases: Path, results: Path) -> None:
    """Run every case; what one raises is its result."""
    found: dict[str, Any] = {}
    for case in json.loads(cases.read_text()):
        try:
            found[case["name"]] = _run(case)
        except (ValueError, RuntimeError, AssertionError) as error:
            found[case["name"]] = {"error": f"{type(error).__name__}: {error}"}
        gc.collect()
        results.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
