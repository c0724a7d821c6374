"""`bcli web`: what it says before there is a page. The page itself is tested in tests/web."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from baichuan_cli.cli.output import Output
from baichuan_cli.cli.web_page import read_login
from baichuan_cli.errors import ExitCode
from cli.in_process import Bcli, Ran, run_bcli
from fakes.openai_server import running_server


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    return lambda *arguments: run_bcli(arguments, monkeypatch, capfd)


def test_the_server_is_asked_before_the_page_is_made(bcli: Bcli) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        ran = bcli("web", "--url", f"127.0.0.1:{port}", "--port", "0")
    assert (ran.code, ran.stdout) == (ExitCode.ENGINE, "")
    assert ran.stderr.startswith(f"error: Nothing answers at http://127.0.0.1:{port}/v1")


def test_a_wrong_key_is_told(bcli: Bcli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCLI_API_KEY", "sk-wrong")
    with running_server(api_key="sk-right") as server:
        ran = bcli("web", "--url", server.url, "--port", "0")
    assert ran == Ran(
        ExitCode.ENGINE,
        "",
        f"error: The server at {server.url} does not let this request in (401): Unauthorized\n"
        "  Give the API key that the server was started with.\n",
    )


def test_a_taken_port_is_said_before_anything_is_asked(bcli: Bcli) -> None:
    with running_server() as server:
        port = urlsplit(server.url).port
        ran = bcli("web", "--url", "http://192.0.2.1/v1", "--port", str(port))
    assert ran.code == ExitCode.REFUSED
    assert ran.stderr.startswith(f"error: Port {port} on 127.0.0.1 is taken.\n  Use another one: --port ")


def test_without_gradio_it_says_how_to_get_it(bcli: Bcli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert bcli("web") == Ran(
        ExitCode.NOT_FOUND,
        "",
        "error: The web page needs Gradio, which is not installed in this Python environment.\n"
        "  pip install 'baichuan-cli[web]', or, in the folder of bcli's source: pip install '.[web]'\n",
    )


def test_a_wide_address_wants_a_password(bcli: Bcli) -> None:
    assert bcli("web", "--host", "0.0.0.0") == Ran(
        ExitCode.REFUSED,
        "",
        "error: On 0.0.0.0 everybody who can reach this machine could use the page.\n"
        "  Ask for a password: --user NAME\n"
        "  Or keep to this machine, and open it from another one over ssh -L: docs/web.md\n"
        "  Or say that everybody may: --insecure\n",
    )


def test_where_the_password_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Output(stderr=io.StringIO())
    file = tmp_path / "password"
    file.write_text("from a file\nnot this\n")
    assert read_login(None, None, out) is None
    assert read_login(" ming ", file, out) == ("ming", "from a file")
    monkeypatch.setenv("BCLI_WEB_PASSWORD", "from the environment")
    assert read_login("ming", None, out) == ("ming", "from the environment")
    assert read_login("ming", file, out) == ("ming", "from a file")


def test_a_password_that_is_not_there(bcli: Bcli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert bcli("web", "--user", "ming").stderr == (
        "error: Password for ming? There is no terminal to ask on.\n"
        "  Export BCLI_WEB_PASSWORD, or give --password-file FILE.\n"
    )
    empty = tmp_path / "password"
    empty.write_text("\n")
    ran = bcli("web", "--user", "ming", "--password-file", str(empty))
    assert (ran.code, ran.stderr) == (
        ExitCode.USAGE,
        f"error: The password of ming is empty.\n  Put one into {empty}.\n",
    )
    ran = bcli("web", "--password-file", str(empty))
    assert ran.stderr == f"error: --password-file {empty} gives a password, but to whom?\n  Add --user NAME.\n"
