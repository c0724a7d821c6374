"""An OpenAI-compatible server that runs already, and that bcli leaves running."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from baichuan_cli.chat.backend import MessageBackend
from baichuan_cli.engine.client import Client
from baichuan_cli.engine.endpoint import api_root, shown
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import Setting


def public_address(url: str) -> str:
    """Return an address as it is shown and kept: whole, and without a user and password in it.

    Raises:
        BcliError: it is no address.
    """
    return shown(api_root(url))


class RunningServer:
    """A server at an address.

    Args:
        url: its address, as in `http://host:8000/v1`.
        api_key: what it wants to see, or None.
        model: one of its models; None for its first.
        defaults: what the person asks for with every request.

    Raises:
        BcliError: it cannot be reached, or has no such model.
    """

    def __init__(self, url: str, api_key: str | None, model: str | None, defaults: Mapping[str, Setting]) -> None:
        self.url = public_address(url)
        self.defaults = defaults
        self._address = url
        self._api_key = api_key
        self.choose(model)

    @property
    def model(self) -> str:
        """Return the name of the model that answers."""
        return self.backend.model

    @property
    def label(self) -> str:
        """Return the model and where it is."""
        return f"{self.model} at {self.url}"

    def ready(self) -> None:
        """Do nothing: whether it can be asked shows when it is asked."""

    def client(self) -> Client:
        """Return a client of the server."""
        return Client(self._address, api_key=self._api_key)

    def cause_of(self, error: BcliError) -> BcliError:
        """Return the error: the server's own words are all there is."""
        return error

    def models(self) -> Sequence[str]:
        """Return the models that the server serves.

        Raises:
            BcliError: it cannot be reached, or serves none.
        """

        async def ask() -> list[str]:
            async with self.client() as client:
                return [model.name for model in await client.models()]

        self.offered = asyncio.run(ask())
        if not self.offered:
            raise BcliError(f"The server at {self.url} serves no model.", exit_code=ExitCode.NOT_FOUND)
        return self.offered

    def choose(self, model: str | None) -> None:
        """Let another of its models answer; None is its first."""
        names = self.models()
        if model is not None and model not in names:
            raise BcliError(
                f"The server at {self.url} has no model {model}.",
                hint=f"It serves: {', '.join(names)}",
                exit_code=ExitCode.NOT_FOUND,
            )
        self.backend = MessageBackend(model or names[0])

    def close(self) -> None:
        """Leave it running."""
