"""Where the page listens, and whom it lets in."""

from __future__ import annotations

import socket

import pytest

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.web.address import Address, as_root_path, require_login, reserve


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("bcli", "/bcli"), ("/bcli/", "/bcli"), ("/a/b-c_1.2~", "/a/b-c_1.2~")]
)
def test_a_path_at_a_proxy(given: str, path: str) -> None:
    assert as_root_path(given) == path


@pytest.mark.parametrize("given", ["a b", "http://host/bcli", "/百川", "/a//b", "/a?b", "/a%20b"])
def test_what_is_no_path(given: str) -> None:
    with pytest.raises(BcliError, match="is no path"):
        as_root_path(given)


def test_where_it_is_to_be_found() -> None:
    assert Address().url == "http://127.0.0.1:8001/"
    assert [Address(host).everywhere for host in ("127.0.0.1", "0.0.0.0", "::")] == [False, True, True]
    assert Address("0.0.0.0", 80, "/bcli").url == "http://127.0.0.1:80/bcli/"
    assert Address("::", 81).url == "http://[::1]:81/"
    assert "secret" not in repr(Address(login=("ming", "secret")))


def test_only_this_machine_needs_no_password() -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        require_login(host, None, insecure=False)
    for host in ("0.0.0.0", "::", "10.0.0.7", "node7"):
        require_login(host, ("ming", "1"), insecure=False)
        require_login(host, None, insecure=True)
        with pytest.raises(BcliError, match=f"On {host} everybody") as refused:
            require_login(host, None, insecure=False)
        assert refused.value.exit_code is ExitCode.REFUSED


def test_a_reserved_address_is_taken() -> None:
    with reserve(Address(port=0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(BcliError, match=f"Port {port} on 127.0.0.1 is taken"):
            reserve(Address(port=port))
        socket.create_connection(("127.0.0.1", port)).close()  # a browser that comes early is not turned away
