"""Which port a server can listen on, found before anything is loaded."""

from __future__ import annotations

import errno
import socket

from baichuan_cli.errors import BcliError, ExitCode

_TRIES = 100  # ports looked at for one that is free


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on at the moment, chosen by the system."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(host: str, port: int, *, option: str = "--port") -> None:
    """Refuse an address that a server cannot listen on.

    Args:
        host: an address of this machine, or a name of one.
        port: where to listen.
        option: what gives the port, for the message.

    Raises:
        BcliError: the port is taken or not allowed, or the host is no address of this machine.
    """
    problem = _problem(host, port)
    if problem is None:
        return
    if problem == errno.EADDRINUSE:
        other = next((each for each in range(port + 1, min(port + _TRIES, 65536)) if not _problem(host, each)), None)
        raise BcliError(
            f"Port {port} on {host} is taken.",
            hint=(f"Use another one: {option} {other}\n" if other else "")
            + f"Or see who has it: ss -ltnp 'sport = :{port}'",
            exit_code=ExitCode.REFUSED,
        )
    if problem in (errno.EACCES, errno.EPERM):
        raise BcliError(
            f"Port {port} is not for ordinary users: {errno.errorcode[problem]}.",
            hint=f"Use one above 1023: {option} 8000",
            exit_code=ExitCode.REFUSED,
        )
    raise BcliError(
        f"{host} is no address of this machine.",
        hint="Use 127.0.0.1 for this machine alone, or 0.0.0.0 for every address it has.",
        exit_code=ExitCode.REFUSED,
    )


def _problem(host: str, port: int) -> int | None:
    """Return the error number of listening there, or None."""
    try:
        with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
            # As servers do: connections of a server that has just ended do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
