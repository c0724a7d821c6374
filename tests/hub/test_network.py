"""What the environment says about servers: values that make no sense are named, and none shows a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from baichuan_cli.hub.http import read_all
from baichuan_cli.hub.hugging_face import HuggingFace
from baichuan_cli.hub.modelscope import ModelScope
from baichuan_cli.hub.network import check_proxy, proxies
from baichuan_cli.hub.source import Source, SourceError
from fakes.hub import FakeHub

NAME = "baichuan-inc/Baichuan-7B"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in PROXY_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.mark.parametrize("variable", ["HF_ENDPOINT", "MODELSCOPE_ENDPOINT"])
@pytest.mark.parametrize(
    "address", ["hub.example", "ftp://hub.example", "http://hub:port", "http://hub:99999", "http://[::1", "http://北"]
)
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, hub: FakeHub, variable: str, address: str) -> None:
    monkeypatch.setenv(variable, address)
    source: Source = HuggingFace(NAME) if variable == "HF_ENDPOINT" else ModelScope(NAME)
    with pytest.raises(SourceError) as caught:
        source.list_files(None)
    assert caught.value.message == f"{variable} is {address!r}, which is no address."
    assert caught.value.hint.endswith(f"or unset {variable}.")


def test_an_address_with_which_huggingface_hub_cannot_even_be_imported() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "baichuan_cli", "download", "baichuan-7b", "--source", "hf-mirror"],
        env={**os.environ, "HF_ENDPOINT": "http://hub:port"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (
        4,
        "error: Nothing came from hf-mirror: HF_ENDPOINT is 'http://hub:port', which is no address.\n"
        "  Set it to one like https://huggingface.co, or unset HF_ENDPOINT.\n",
    )


@pytest.mark.parametrize("token", ["密码", "two words"])
def test_a_token_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch, hub: FakeHub, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", token)
    for source in (HuggingFace(NAME), ModelScope(NAME)):
        with pytest.raises(SourceError) as caught:
            source.list_files(None)
        assert caught.value.reason == "its token has characters that no token has"
    assert hub.tokens == []


@pytest.mark.parametrize(
    ("variable", "proxy", "shown"),
    [
        ("http_proxy", "socks5://localhost:7890", "socks5://localhost:7890"),
        ("all_proxy", "socks5://me:secret@localhost:7890", "localhost:7890"),
        ("http_proxy", "gopher://x", "gopher://x"),
        ("http_proxy", "http://localhost:port", "http://localhost:port"),
    ],
)
def test_a_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, hub: FakeHub, variable: str, proxy: str, shown: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    for ask in (lambda: HuggingFace(NAME).list_files(None), lambda: read_all(hub.endpoint, {})):
        with pytest.raises(SourceError) as caught:
            ask()
        assert caught.value.message == f"The proxy {shown!r} is no HTTP proxy."
        assert caught.value.hint == f"Set {variable.upper()} to one like http://localhost:3128, or unset it."
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    check_proxy(hub.endpoint)


def test_a_proxy_for_everything_stands_in_for_those_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://one:1")
    monkeypatch.setenv("https_proxy", "two:2")
    assert proxies() == {"http": "http://one:1", "https": "two:2"}
    check_proxy("https://hub.example")


def test_the_bytes_come_through_the_proxy(monkeypatch: pytest.MonkeyPatch, hub: FakeHub) -> None:
    monkeypatch.setenv("all_proxy", hub.endpoint)  # it answers what it is asked, whoever is meant
    hub.add(NAME, {"config.json": b"{}"})
    assert read_all(f"http://hub.example/{NAME}/resolve/main/config.json", {}) == b"{}"
