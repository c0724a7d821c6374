"""What `bcli web` and `bcli serve --web` need around the page: Gradio, who may come in, where it is."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.cli.output import Output
from baichuan_cli.engine.ports import free_port
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.web.address import Address, reserve

if TYPE_CHECKING:
    from baichuan_cli.engine.running import Running
    from baichuan_cli.plan.model import Plan
    from baichuan_cli.plan.serving import ServeOptions

PASSWORD = "BCLI_WEB_PASSWORD"


def require_gradio() -> None:
    """Refuse to go on without Gradio.

    Raises:
        BcliError: it is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise BcliError(
            "The web page needs Gradio, which is not installed in this Python environment.",
            hint="pip install 'baichuan-cli[web]', or, in the folder of bcli's source: pip install '.[web]'",
            exit_code=ExitCode.NOT_FOUND,
        )


def read_login(user: str | None, password_file: Path | None, out: Output) -> tuple[str, str] | None:
    """Return who may come in: a name and its password; None for everybody.

    The password is never an option: every user of a machine can read what others give on a command line.

    Raises:
        BcliError: there is a password without a name, or none for a name.
    """
    exported = os.environ.get(PASSWORD)
    if user is None:
        if password_file is not None or exported:
            given = f"--password-file {password_file}" if password_file is not None else PASSWORD
            raise BcliError(f"{given} gives a password, but to whom?", hint="Add --user NAME.")
        return None
    if password_file is not None:
        password = password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
    elif exported is not None:
        password = exported
    else:
        password = out.secret(f"Password for {user}", hint=f"Export {PASSWORD}, or give --password-file FILE.")
    if not user.strip():
        raise BcliError("--user is empty.", hint="Give the name that visitors type in.")
    if not password:
        source = PASSWORD if password_file is None else password_file
        raise BcliError(f"The password of {user} is empty.", hint=f"Put one into {source}.")
    return user.strip(), password


async def show_page(url: str, api_key: str | None, address: Address, listener: socket.socket, out: Output) -> None:
    """Show the page of a running server until a signal ends it.

    Raises:
        BcliError: the address is none, or the server cannot be asked for its models.
    """
    from baichuan_cli.engine.client import Client
    from baichuan_cli.web.known import own_sampling
    from baichuan_cli.web.talk import Talk

    async with Client(url, api_key=api_key) as client:
        talk = Talk(client, own_sampling)
        await talk.look()
        with out.status("starting the page"):
            from baichuan_cli.web.launch import PageServer
        everywhere = " and every other address of this machine" if address.everywhere else ""
        kind = "models" if len(talk.models) > 1 else "model"
        names = ", ".join(f'"{model.name}"' for model in talk.models)
        ready = f"ready  {address.url}{everywhere}   {kind} {names}   Ctrl-C stops"
        await PageServer(talk, address, on_ready=lambda: out.note(ready)).serve([listener])


def require_page(plan: Plan, options: ServeOptions) -> None:
    """Refuse a page beside a server that it could not talk with.

    Raises:
        BcliError: the server speaks TLS, by a certificate for another name, or has no API on this machine.
    """
    from baichuan_cli.plan.render import headless

    if options.ssl_certfile is not None:
        url = f"https://HOST:{options.port}/v1"
        raise BcliError(
            "--web does not go with TLS.",
            hint=f"Start the page by itself: SSL_CERT_FILE={options.ssl_certfile} bcli web --url {url}",
        )
    if headless(plan):
        raise BcliError("--web is for machine 0: the others have no API.", hint="Leave it out here.")


class WebPage:
    """The page that `bcli serve --web` shows on this machine; its port is taken before anything is loaded.

    Raises:
        BcliError: Gradio is missing, or the port is taken.
    """

    def __init__(self, port: int) -> None:
        require_gradio()
        self._address = Address(port=port or free_port())
        self._listener = reserve(self._address, option="--web-port")

    def close(self) -> None:
        """Give the port back."""
        self._listener.close()

    @contextmanager
    def shown(self, server: Running, plan: Plan, out: Output) -> Iterator[None]:
        """Show it inside the block, and say where; the sampling starts as the plan has it.

        Raises:
            BcliError: the server cannot be asked for its models.
        """
        from baichuan_cli.engine.client import Client
        from baichuan_cli.plan.render import sampling_kwargs

        with out.status("starting the page"):
            from baichuan_cli.web.launch import page_beside
        client = Client(server.url, api_key=server.api_key)
        with page_beside(client, lambda _: sampling_kwargs(plan), self._address, self._listener):
            out.note(f"  page  {self._address.url}")
            yield
