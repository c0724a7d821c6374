"""What a conversation needs of whoever answers: an engine that bcli starts for it, or a server that runs already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.chat.backend import MessageBackend, TokenBackend
    from baichuan_cli.engine.client import Client
    from baichuan_cli.plan.model import Setting


class Engine(Protocol):
    """Who answers.

    Attributes:
        model: what it is chosen by: a name, or a folder.
        url: the server, unless bcli starts it.
        backend: how it is asked, once it is ready.
        offered: what could be chosen when that was last looked at.
        defaults: how answers are sampled where the person says nothing.
    """

    @property
    def model(self) -> str: ...

    @property
    def url(self) -> str | None: ...

    @property
    def backend(self) -> TokenBackend | MessageBackend: ...

    @property
    def offered(self) -> Sequence[str]: ...

    @property
    def defaults(self) -> Mapping[str, Setting]: ...

    @property
    def label(self) -> str:
        """Return what a person calls it."""

    def ready(self) -> None:
        """Make sure that it can be asked.

        Raises:
            BcliError: it cannot be started.
            KeyboardInterrupt: the person does not want to wait.
        """

    def client(self) -> Client:
        """Return a client for one answer."""

    def cause_of(self, error: BcliError) -> BcliError:
        """Return why an answer failed, as near to the cause as can be told."""

    def models(self) -> Sequence[str]:
        """Return what can be chosen."""

    def choose(self, model: str) -> None:
        """Let another model answer.

        Raises:
            BcliError: it cannot.
        """

    def close(self) -> None:
        """Stop what was started."""
