"""Asking the sources of models, on servers on loopback."""

from __future__ import annotations

import threading

import pytest

from baichuan_cli.doctor.facts.hub import Hub, look_at_hub
from fakes.hub import FakeHub, Fault
from fakes.raw_server import raw_server


@pytest.fixture(autouse=True)
def reachable(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all sources be the fake hub, and nobody say that there is no network."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("baichuan_cli.doctor.facts.hub.MIRROR", hub.content_endpoint)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def problems(hub: Hub) -> dict[str, str]:
    """Return why each source cannot be used, by its name."""
    return {answer.source: answer.problem for answer in hub.answers}


def test_every_source_is_asked_and_told_nothing(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-secret")

    looked = look_at_hub(offline=False)

    assert problems(looked) == {"huggingface": "", "hf-mirror": "", "modelscope": ""}
    assert len(hub.tokens) == 3
    assert {token for _, token in hub.tokens} == {""}
    assert all(0 < answer.seconds < 6 for answer in looked.answers)


def test_the_mirror_as_endpoint_is_asked_once(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.content_endpoint}/")

    assert list(problems(look_at_hub(offline=False))) == ["huggingface", "modelscope"]


def test_a_busy_server(hub: FakeHub) -> None:
    hub.api_faults = [Fault(status=503), Fault(status=503)]

    found = problems(look_at_hub(offline=False))

    assert found["huggingface"] == found["hf-mirror"] == "the server answered 503 Service Unavailable"
    assert found["modelscope"] == ""


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hf-mirror.com")

    assert problems(look_at_hub(offline=False))["huggingface"] == "HF_ENDPOINT is 'hf-mirror.com', which is no address"


def test_a_proxy_that_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    monkeypatch.setenv("no_proxy", "localhost")
    with raw_server(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))

        assert problems(look_at_hub(offline=False))["huggingface"] == "the proxy wants a password"


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.doctor.facts.hub._SECONDS", 2)
    with raw_server(None) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url.removesuffix("/v1"))

        assert problems(look_at_hub(offline=False))["huggingface"] == "did not answer (timed out)"


def test_a_name_that_takes_forever_to_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.doctor.facts.hub._SECONDS", 0.1)
    looked_up = threading.Event()
    monkeypatch.setattr("baichuan_cli.doctor.facts.hub.read_all", lambda *_, **__: looked_up.wait())

    assert set(problems(look_at_hub(offline=False)).values()) == {"no answer within 0.2 s"}
    looked_up.set()


@pytest.mark.parametrize("value", ["1", "ON", "yes", "True"])
def test_offline_by_the_environment(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)

    assert look_at_hub(offline=False) == Hub(offline="HF_HUB_OFFLINE is set")
    assert hub.tokens == []


def test_offline_by_the_person(hub: FakeHub) -> None:
    assert look_at_hub(offline=True) == Hub(offline="--offline")
    assert hub.tokens == []
