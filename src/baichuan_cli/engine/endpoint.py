"""The address of an OpenAI-compatible server as a person writes it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from baichuan_cli.errors import BcliError

_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_ROUTES = re.compile(r"(/chat/completions|/completions|/models)$")


def api_root(given: str) -> str:
    """Return the address that routes such as `/models` are appended to.

    `http://` and `/v1` may be left away, and a route may be left on.

    Raises:
        BcliError: it is no address.
    """
    address = given.strip()
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port or an IPv6 address that is none
        host = None
    if not host or parts.scheme not in ("http", "https") or len(address.split()) > 1:
        raise BcliError(f"{given!r} is no address of a server.", hint="Write it like http://localhost:8000/v1")
    path = _ROUTES.sub("", parts.path.rstrip("/"))
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, path if _VERSION.search(path) else f"{path}/v1", "", ""))


def shown(url: str) -> str:
    """Return an address without the user and password that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a server; None on this machine, where no proxy leads.

    Raises:
        BcliError: it is no HTTP proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(parts.scheme)
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise BcliError(
            f"{parts.scheme}_proxy is {shown(proxy)!r}, which is no HTTP proxy.",
            hint=f"Unset it, or add {host} to no_proxy.",
        )
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
