"""Rates and latencies of an engine whose clock the test holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from baichuan_cli.bench import offline
from baichuan_cli.bench.latency import latency_metrics
from baichuan_cli.bench.offline import measure_latency, measure_throughput, run_pass
from baichuan_cli.bench.random_prompts import RandomPrompts
from baichuan_cli.bench.record import Ceiling, Metric
from baichuan_cli.bench.roofline import Load
from baichuan_cli.bench.throughput import roofline_metrics, throughput_metrics
from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.engine.offline import TextListener
from baichuan_cli.engine.request import Choice, Completion, Rejection, Request
from baichuan_cli.errors import BcliError

PREFILL, STEP = 0.5, 0.01  # seconds


class Clockwork:
    """An engine that needs `PREFILL` for all prompts together and `STEP` for every further token."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refuse: bool = False) -> None:
        self.now = 0.0
        self.seen: list[list[Request]] = []
        self.refuse = refuse
        monkeypatch.setattr(offline.time, "perf_counter", lambda: self.now)

    def run(
        self, requests: Iterable[Request], *, on_text: TextListener | None = None
    ) -> Iterator[Completion | Rejection]:
        batch = list(requests)
        self.seen.append(batch)
        longest = max(int(str(request.sampling["max_tokens"])) for request in batch)
        self.now += PREFILL + STEP * (longest - 1)
        for request in batch:
            if self.refuse:
                yield Rejection(request.request_id, "too long")
                continue
            length = int(str(request.sampling["max_tokens"]))
            yield Completion(
                request.request_id,
                len(request.prompt_token_ids),
                (Choice(0, "", tuple(range(length)), "length"),),
                first_token_seconds=PREFILL if on_text else None,
                total_seconds=PREFILL + STEP * (length - 1),
                cached_tokens=0,
            )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    return Clockwork(monkeypatch)


def means(metrics: Iterable[Metric]) -> dict[str, float]:
    return {metric.name: metric.summary.mean for metric in metrics}


def workload(output_len: int = 51) -> RandomPrompts:
    return RandomPrompts(range(100, 4000), 20, output_len)


def test_rates_are_of_real_tokens_over_wall_time(engine: Clockwork) -> None:
    run = measure_throughput(engine, workload(), 4, repeats=3, warmup=2)
    found = means(throughput_metrics(run))
    assert found == pytest.approx(
        {
            "output_tokens_per_s": 4 * 51 / 1.0,  # 0.5 s of prefill and 50 steps
            "total_tokens_per_s": 4 * (20 + 51) / 1.0,
            "prompt_tokens_per_s": 4 * 20 / 1.0,
            "requests_per_s": 4 / 1.0,
            "run_s": 1.0,
            "prefill_s": PREFILL,
            "prefill_tokens_per_s": 4 * 20 / PREFILL,
            "decode_tokens_per_s": 4 / STEP,
        }
    )
    assert run.warmup_seconds == pytest.approx(2.0)


def test_no_prompt_is_sent_twice_and_every_answer_has_its_full_length(engine: Clockwork) -> None:
    measure_throughput(engine, workload(), 4, repeats=3, warmup=1)
    assert [len(batch) for batch in engine.seen] == [4] * 7  # a warm-up, then whole and prefill in turn
    prompts = [request.prompt_token_ids for batch in engine.seen for request in batch]
    assert len(set(prompts)) == len(prompts)
    assert engine.seen[1][0].sampling == {"max_tokens": 51, "ignore_eos": True, "stop_token_ids": []}
    assert engine.seen[2][0].sampling == {"max_tokens": 1, "ignore_eos": True, "stop_token_ids": []}


def test_an_answer_of_one_token_is_prefill_alone(engine: Clockwork) -> None:
    run = measure_throughput(engine, workload(1), 4, repeats=2, warmup=0)
    found = means(throughput_metrics(run))
    assert len(engine.seen) == 2
    assert found["prefill_s"] == pytest.approx(PREFILL)
    assert "decode_tokens_per_s" not in found
    assert run.warmup_seconds is None


def test_the_roofline_takes_the_step_alone(engine: Clockwork) -> None:
    load = Load(resolve_model("baichuan2-7b"), "float16", 2, 1)
    run = measure_throughput(engine, workload(), 4, repeats=2, warmup=0)
    found = means(roofline_metrics(run, load, Ceiling(bandwidth_gb_s=2000, peak_tflops=312), at_once=4))
    assert found["decode_mbu"] == pytest.approx(load.step_bytes(int(4 * 45.5)) / STEP / 2e12)
    assert found["prefill_mfu"] == pytest.approx(load.mfu([20] * 4, PREFILL, 312))
    waves = means(roofline_metrics(run, load, Ceiling(bandwidth_gb_s=2000, peak_tflops=312), at_once=3))
    assert set(waves) == {"prefill_mfu"}


def test_latencies_a_request(engine: Clockwork) -> None:
    load = Load(resolve_model("baichuan2-7b"), "float16", 2, 1)
    run = measure_latency(engine, workload(), 8, repeats=5, warmup=1)
    metrics = latency_metrics(run, load, Ceiling(bandwidth_gb_s=2000), uniform=True)
    assert means(metrics) == pytest.approx(
        {
            "ttft_ms": 1000 * PREFILL,
            "tpot_ms": 1000 * STEP,
            "e2e_ms": 1000,
            "output_tokens_per_s": 8 * 51 / 1.0,
            "decode_mbu": load.step_bytes(int(8 * 45.5)) / STEP / 2e12,
        }
    )
    assert {len(metric.samples) for metric in metrics} == {5, 40}
    assert all(metric.at == {"batch_size": 8} for metric in metrics)


def test_a_refused_prompt_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BcliError, match="vLLM refuses a prompt: too long"):
        run_pass(Clockwork(monkeypatch, refuse=True), workload().draw(1, 0))
