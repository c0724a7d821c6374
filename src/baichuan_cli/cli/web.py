"""`bcli web`: the page of a server that runs already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baichuan_cli.cli.output import Output
from baichuan_cli.cli.web_page import read_login, require_gradio, show_page
from baichuan_cli.errors import ExitCode

_SERVER = "The model server"
_PAGE = "The page"


def web(
    url: Annotated[
        str,
        typer.Option("--url", help="Its address, such as http://host:8000/v1.", rich_help_panel=_SERVER),
    ] = "http://127.0.0.1:8000/v1",
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="BCLI_API_KEY",
            show_envvar=False,
            help="Its key; better given as BCLI_API_KEY, which no list of processes shows.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.", rich_help_panel=_PAGE)] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.", rich_help_panel=_PAGE),
    ] = 8001,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="NAME",
            help="Ask visitors for this name and a password: BCLI_WEB_PASSWORD, --password-file, or typed in.",
            rich_help_panel=_PAGE,
        ),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="A file that holds the password.", rich_help_panel=_PAGE)
    ] = None,
    root_path: Annotated[
        str, typer.Option("--root-path", metavar="PATH", help="Path of the page at a proxy.", rich_help_panel=_PAGE)
    ] = "",
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Let everybody in who can reach --host, without a password.", rich_help_panel=_PAGE
        ),
    ] = False,
) -> None:
    """Talk with a model in the browser.

    bcli web --url http://localhost:8000/v1

    bcli web --url http://node7:8000/v1 --host 0.0.0.0 --user ming
    """
    import asyncio

    from baichuan_cli.engine.ports import free_port
    from baichuan_cli.web.address import Address, as_root_path, require_login, reserve

    out = Output()
    require_gradio()
    login = read_login(user, password_file, out)
    require_login(host, login, insecure=insecure)
    address = Address(host, port or free_port(host), as_root_path(root_path), login)
    with reserve(address) as listener:
        try:
            asyncio.run(show_page(url, api_key, address, listener, out))
        except KeyboardInterrupt:
            out.note("stopped")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
