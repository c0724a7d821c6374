"""Where the page is to be found, and for whom."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field

from baichuan_cli.engine.ports import require_free_port
from baichuan_cli.errors import BcliError, ExitCode

#: Addresses that stand for all of a machine, and how a browser on it gets there.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """The page's address.

    Raises:
        BcliError: `root_path` is no path.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    root_path: str = ""  # what a proxy puts before the page's own paths, such as "/bcli"
    login: tuple[str, str] | None = field(default=None, repr=False)  # a user's name and password

    @property
    def url(self) -> str:
        """Return the page's address for a browser on this machine."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.root_path}/"

    @property
    def everywhere(self) -> bool:
        """Tell whether the page is at every address of this machine."""
        return self.host in _EVERYWHERE


def as_root_path(given: str) -> str:
    """Return a path as "/bcli", and "" for the root.

    Raises:
        BcliError: it is no path.
    """
    path = "/" + given.strip().strip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*/?", path, re.ASCII):
        raise BcliError(f"{given!r} is no path.", hint="Write it like --root-path /bcli")
    return path.rstrip("/")


def require_login(host: str, login: object, *, insecure: bool) -> None:
    """Refuse a page that others could open without a password.

    Raises:
        BcliError: the host is not this machine alone, and nobody has said that this is wanted.
    """
    if login is None and not insecure and not _is_this_machine(host):
        raise BcliError(
            f"On {host} everybody who can reach this machine could use the page.",
            hint="Ask for a password: --user NAME\n"
            "Or keep to this machine, and open it from another one over ssh -L: docs/web.md\n"
            "Or say that everybody may: --insecure",
            exit_code=ExitCode.REFUSED,
        )


def reserve(address: Address, *, option: str = "--port") -> socket.socket:
    """Return a socket that listens there; a browser that comes early waits for the page.

    Args:
        address: where.
        option: what gives the port, for the message.

    Raises:
        BcliError: the port is taken or not allowed, or the host is no address of this machine.
    """
    require_free_port(address.host, address.port, option=option)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
