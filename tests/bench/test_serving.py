"""`bench serve` against a server with known delays: what it reports is what the server did."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import time
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from baichuan_cli.bench.random_prompts import RandomPrompts
from baichuan_cli.bench.record import Metric, ModelRecord, Record
from baichuan_cli.bench.serving.arrivals import Arrivals
from baichuan_cli.bench.serving.goals import read_goals
from baichuan_cli.bench.serving.load import Sample, Target
from baichuan_cli.bench.serving.metrics import LoadRun, serving_metrics
from baichuan_cli.bench.serving.run import About, Asked, measure_serving
from baichuan_cli.bench.serving.server_metrics import ServerMetrics, read_metrics
from baichuan_cli.errors import BcliError
from fakes.openai_server import Behaviour, Fault, running_server, server_process

FIRST, TOKEN, TOKENS = 300.0, 12.0, 20  # milliseconds, milliseconds, an answer
AT_ONCE = Arrivals()
ABOUT = About(model=ModelRecord(name="demo"), environment={})


def asked(count: int = 40, *, arrivals: Arrivals = AT_ONCE, limit: int | None = None, **more: object) -> Asked:
    given: dict[str, object] = {
        "target": Target("demo", "completions", {"temperature": 0.0}, limit),
        "workload": RandomPrompts(range(100, 4000), 16, TOKENS),
        "arrivals": arrivals,
        "count": count,
    }
    return Asked(**(given | more))  # type: ignore[arg-type]


def measure(url: str, load: Asked) -> Record:
    return asyncio.run(measure_serving(url, None, load, ABOUT))


def metric(record: Record, name: str) -> Metric:
    found = record.find(name)
    assert found is not None, name
    return found


def within(measured: float, true: float) -> bool:
    """Tell whether a latency in milliseconds is right within 3 % or 2 ms."""
    return abs(measured - true) <= max(0.03 * true, 2.0)


def wrong_in_every_round(url: str, load: Asked, truths: Mapping[str, float], rounds: int = 3) -> dict[str, float]:
    """Return the statistics that no round of the same load gets right, with what the last one measured.

    What else runs on the machine delays some answers of some rounds; an error in a statistic is in all of them.

    Args:
        truths: by "ttft_ms mean", "ttft_ms p90" and so on. Latencies may be off by 3 % or 2 ms, rates by 2 %.
    """
    wrong = dict.fromkeys(truths, math.nan)
    for _ in range(rounds):
        record = measure(url, load)
        assert record.failures == ()
        for key in list(wrong):
            name, _, which = key.partition(" ")
            summary = metric(record, name).summary
            wrong[key] = summary.mean if which == "mean" else summary.percentiles[which].value
            if within(wrong[key], truths[key]) if name.endswith("_ms") else is_rate(wrong[key], truths[key]):
                del wrong[key]
        if not wrong:
            return {}
    if not machine_keeps_time(url):
        pytest.skip("this machine is too busy now for its clock to judge milliseconds")
    return wrong


def machine_keeps_time(url: str) -> bool:
    """Tell whether a bare client, which only reads and looks at the clock, sees the server keep its times."""
    body = json.dumps({"model": "demo", "prompt": [1], "stream": True})
    for _ in range(3):
        with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
            sent = time.perf_counter()
            connection.request("POST", "/v1/completions", body)
            with connection.getresponse() as response:
                came = [1000 * (time.perf_counter() - sent) for line in response if line.startswith(b"data: {")]
        if not (within(came[0], FIRST) and within(came[TOKENS - 1], WHOLE)):
            return False
    return True


def is_rate(measured: float, true: float) -> bool:
    """Tell whether a rate is right within 2 %."""
    return abs(measured - true) <= 0.02 * true


WHOLE = FIRST + (TOKENS - 1) * TOKEN
LATENCIES = {
    f"{name} {which}": true
    for name, true in {"ttft_ms": FIRST, "tpot_ms": TOKEN, "itl_ms": TOKEN, "e2e_ms": WHOLE}.items()
    for which in ("mean", "p50", "p90")
}


@pytest.fixture(scope="module")
def slow_server() -> object:
    with server_process(*("--first-token-ms", str(FIRST), "--token-ms", str(TOKEN), "--tokens", str(TOKENS))) as url:
        yield url


@pytest.mark.quiet
def test_every_statistic_is_what_the_server_did_at_a_constant_rate(slow_server: str) -> None:
    count, rate = 24, 12
    seconds = (count / rate) + WHOLE / 1000  # the last is sent after two seconds
    rates = {
        "achieved_rate_per_s mean": rate,
        "requests_per_s mean": count / seconds,
        "output_tokens_per_s mean": count * TOKENS / seconds,
        "total_tokens_per_s mean": count * (TOKENS + 16) / seconds,
    }
    load = asked(count, arrivals=Arrivals(rate, burstiness=math.inf), warmup=4)
    assert wrong_in_every_round(slow_server, load, LATENCIES | rates) == {}


@pytest.mark.quiet
def test_every_statistic_is_what_the_server_did_in_a_closed_loop(slow_server: str) -> None:
    rates = {"requests_per_s mean": 3000 / WHOLE, "output_tokens_per_s mean": 3000 / WHOLE * TOKENS}
    assert wrong_in_every_round(slow_server, asked(12, limit=3), LATENCIES | rates) == {}


@pytest.mark.quiet
def test_a_statistic_that_is_wrong_is_noticed(slow_server: str) -> None:
    truths = {"ttft_ms mean": FIRST - 30, "e2e_ms p90": WHOLE - 60}  # a busy machine only makes both later
    assert set(wrong_in_every_round(slow_server, asked(3), truths, rounds=1)) == set(truths)


def test_every_answer_is_a_sample_and_the_warm_up_is_none(slow_server: str) -> None:
    record = measure(slow_server, asked(6, warmup=4))
    assert record.warmup["requests"] == 4
    assert len(metric(record, "ttft_ms").samples) == 6
    assert len(metric(record, "itl_ms").samples) == 6 * (TOKENS - 1)


def test_one_failing_request_in_ten_shows_as_exactly_that() -> None:
    behaviour = Behaviour(0.02, 0.001, TOKENS, fault=Fault.FAILED, fault_every=10)
    with running_server(behaviour) as server:
        record = measure(server.url, asked(50, limit=5))
    assert record.failed == 5
    assert len(record.failures) == 1
    assert "failed (500): EngineCore encountered an issue." in record.failures[0].error
    assert len(metric(record, "ttft_ms").samples) == 45
    assert len(record.series["failed"]) == 5


def test_an_answer_that_breaks_off_is_in_no_latency() -> None:
    behaviour = Behaviour(0.01, 0.001, TOKENS, fault=Fault.CUT, fault_every=4, fault_after=5)
    with running_server(behaviour) as server:
        record = measure(server.url, asked(20, limit=2))
    assert record.failed == 5
    assert len(metric(record, "e2e_ms").samples) == 15
    assert len(metric(record, "itl_ms").samples) == 15 * (TOKENS - 1)


def test_nothing_is_measured_where_the_warm_up_fails() -> None:
    with (
        running_server(Behaviour(fault=Fault.FAILED)) as server,
        pytest.raises(BcliError, match="2 of 2 requests of the warm-up failed"),
    ):
        measure(server.url, asked(5, warmup=2))


def test_where_everything_fails_there_are_no_latencies() -> None:
    with running_server(Behaviour(fault=Fault.DROP)) as server:
        record = measure(server.url, asked(3))
    assert (record.failed, record.metrics) == (3, ())


def test_goodput_counts_what_kept_every_limit() -> None:
    with running_server(Behaviour(0.05, 0.004, 5)) as server:
        good = measure(server.url, asked(20, limit=4, goals=read_goals("ttft:60000,tpot:60000")))
        bad = measure(server.url, asked(20, limit=4, goals=read_goals("ttft:10")))
    rate, served = metric(good, "goodput_per_s"), metric(good, "requests_per_s")
    assert rate.samples == served.samples
    assert metric(bad, "goodput_per_s").samples == (0.0,)
    assert good.shape["slo_ttft_ms"] == 60000


def test_cached_prompts_are_marked() -> None:
    with running_server(Behaviour(tokens=4, cached_tokens=8)) as server:
        record = measure(server.url, asked(10, limit=2))
    assert record.marks == ("the prefix cache answered 50% of the prompt tokens",)
    assert "prefix cache: 50.0% of the prompt tokens" in record.notes


def test_the_servers_own_metrics_are_kept_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.bench.serving.server_metrics._SECONDS_BETWEEN", 0.05)
    with running_server(Behaviour(0.3, 0.02, 80)) as server:  # answers last thirty looks at the metrics
        record = measure(server.url, asked(8))
    assert max(value for _, value in record.series["running"]) == 8
    assert max(value for _, value in record.series["kv_cache_usage"]) > 0
    seconds = [second for second, _ in record.series["waiting"]]
    assert seconds == sorted(seconds)


def test_prompts_of_another_length_are_marked() -> None:
    workload = RandomPrompts(range(100, 4000), 16, TOKENS)
    workload.shape = {**workload.shape, "input_len": 17}
    with running_server(Behaviour(tokens=2)) as server:
        record = measure(server.url, asked(4, workload=workload))
    assert record.marks == ("prompts have 16 to 16 tokens, not 17",)


def test_what_is_sent() -> None:
    with running_server(Behaviour(tokens=2)) as server:
        measure(server.url, asked(4))
    bodies = [request.body for request in server.requests]
    assert len({tuple(body["prompt"]) for body in bodies}) == 4
    assert {len(body["prompt"]) for body in bodies} == {16}
    rest = {name: value for name, value in bodies[0].items() if name != "prompt"}
    assert rest == {
        "model": "demo",
        "temperature": 0.0,
        "max_tokens": TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_client_that_falls_behind_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    times = Arrivals.times
    # Every request is due at the start, and the client is told that it had a rate to keep.
    monkeypatch.setattr(Arrivals, "times", lambda self, count, seed: [each - 5 for each in times(self, count, seed)])
    with running_server(Behaviour(tokens=2)) as server:
        record = measure(server.url, asked(20, arrivals=Arrivals(100)))
    assert any(mark.startswith("the client itself fell behind: 1 request in 100 was sent") for mark in record.marks)


@pytest.mark.parametrize(
    ("text", "cache"),
    [
        ('vllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:kv_cache_usage_perc{engine="1"} 0.75\n', [0.25, 0.75]),
        ("# HELP x\nvllm:gpu_cache_usage_perc 5e-1\nhttp_requests_total 3\n", [0.5]),
    ],
)
def test_both_names_of_the_cache_are_read(text: str, cache: list[float]) -> None:
    (values,) = read_metrics(text).values()
    assert values == cache


def test_the_hit_rate_is_of_this_run_alone() -> None:
    assert ServerMetrics(queries=200, hits=50).hit_rate == 0.25
    assert ServerMetrics().hit_rate is None


@pytest.mark.parametrize("text", ["ttft", "ttft:x", "ttft:-1", "itl:5", "ttft:inf"])
def test_limits_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BcliError, match="--slo"):
        read_goals(text)


def test_statistics_of_known_times_are_exact() -> None:
    def sample(due: float, first: float, gap: float, tokens: int) -> Sample:
        chunks = [first + number * gap for number in range(tokens)]
        return Sample(due, due, due, chunks, chunks[-1], prompt_tokens=10, output_tokens=tokens)

    samples = [sample(0.5, 0.1, 0.02, 6), sample(1.0, 0.3, 0.04, 11), Sample(1.0, 1.0, 1.0, [0.1], error="broke off")]
    found = {each.name: each for each in serving_metrics([LoadRun(samples, ServerMetrics())], {"ttft": 200.0})}
    assert found["ttft_ms"].samples == pytest.approx((100, 300))
    assert found["tpot_ms"].samples == pytest.approx((20, 40))
    assert found["itl_ms"].samples == pytest.approx((20,) * 5 + (40,) * 10)
    assert found["e2e_ms"].samples == pytest.approx((200, 700))
    seconds = 1.0 + 0.7  # the end of the last whole answer
    assert found["output_tokens_per_s"].samples == pytest.approx((17 / seconds,))
    assert found["total_tokens_per_s"].samples == pytest.approx((37 / seconds,))
    assert found["requests_per_s"].samples == pytest.approx((2 / seconds,))
    assert found["goodput_per_s"].samples == pytest.approx((1 / seconds,))
    assert found["achieved_rate_per_s"].samples == pytest.approx((3 / 1.0,))
