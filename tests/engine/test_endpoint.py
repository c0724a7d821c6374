"""Addresses as people write them."""

from __future__ import annotations

import pytest

from baichuan_cli.engine.endpoint import api_root, proxy_for, shown
from baichuan_cli.errors import BcliError


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        (" localhost:8000\n", "http://localhost:8000/v1"),
        ("https://[::1]:8000/v1/", "https://[::1]:8000/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("https://host/prefix", "https://host/prefix/v1"),
        ("https://host/v1/models?x=1", "https://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://me:secret@host/v1beta", "https://me:secret@host/v1beta"),
    ],
)
def test_an_address(given: str, root: str) -> None:
    assert api_root(given) == root


@pytest.mark.parametrize(
    "given", ["", "http://", "http://:8000", "ftp://host", "http://host:eight", "a b", "http://[::1"]
)
def test_no_address(given: str) -> None:
    with pytest.raises(BcliError) as caught:
        api_root(given)
    assert caught.value.message == f"{given!r} is no address of a server."
    assert caught.value.hint == "Write it like http://localhost:8000/v1"


def test_a_password_is_not_shown() -> None:
    assert shown("https://me:secret@host:8000/v1") == "https://host:8000/v1"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://localhost:8000/v1", None),
        ("http://a.localhost/v1", None),
        ("http://127.8.8.8/v1", None),
        ("http://[::1]/v1", None),
        ("http://0.0.0.0:8000/v1", None),
        ("http://10.0.0.7/v1", None),
        ("http://10.0.0.8/v1", "http://proxy:3128"),
        ("https://host/v1", "http://secure-proxy:3128"),
    ],
)
def test_the_proxy_of_an_address(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("https_proxy", "http://secure-proxy:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.7")
    assert proxy_for(url) == proxy


def test_a_proxy_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://me:secret@proxy:1080")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(BcliError) as caught:
        proxy_for("http://host/v1")
    assert caught.value.message == "http_proxy is 'socks5://proxy:1080', which is no HTTP proxy."
    assert caught.value.hint == "Unset it, or add host to no_proxy."
