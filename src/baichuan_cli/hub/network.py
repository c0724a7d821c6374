"""What the environment says about reaching servers: addresses, tokens and proxies, looked at before they are used.

The HTTP libraries raise errors of all kinds where one of these makes no sense.
"""

from __future__ import annotations

import os
import re
import urllib.request
from urllib.parse import urlsplit

from baichuan_cli.hub.source import SourceError

_VISIBLE = re.compile(r"[!-~]+")  # ASCII without spaces


def server_address(variable: str, default: str) -> str:
    """Return the address of a server: that of an environment variable, where it is set.

    Raises:
        SourceError: the variable holds something else.
    """
    given = os.environ.get(variable) or default
    if not _is_address(given):
        raise SourceError(
            f"{variable} is {given!r}, which is no address", hint=f"Set it to one like {default}, or unset {variable}."
        )
    return given.rstrip("/")


def check_token(token: str, hint: str) -> None:
    """Make sure that a token can be sent.

    Raises:
        SourceError: it has a character that no token has; the token itself is not shown.
    """
    if not _VISIBLE.fullmatch(token):
        raise SourceError("its token has characters that no token has", hint=hint)


def proxies() -> dict[str, str]:
    """Return the addresses of the proxies by scheme; ALL_PROXY stands in for one that is not set."""
    found = urllib.request.getproxies()
    return {scheme: proxy for scheme in ("http", "https") if (proxy := found.get(scheme) or found.get("all"))}


def check_proxy(url: str) -> None:
    """Make sure that the proxy for an address is one that can be used.

    Raises:
        SourceError: it is of another kind than HTTP, or its address makes no sense.
    """
    parts = urlsplit(url)
    proxy = proxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return
    if not _is_address(proxy if "://" in proxy else f"http://{proxy}"):
        variable = f"{parts.scheme}_proxy" if urllib.request.getproxies().get(parts.scheme) else "all_proxy"
        raise SourceError(
            f"the proxy {proxy.rpartition('@')[2]!r} is no HTTP proxy",
            hint=f"Set {variable.upper()} to one like http://localhost:3128, or unset it.",
        )


def _is_address(text: str) -> bool:
    """Tell whether a text is the address of an HTTP server."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:  # the port is no number, or a bracket of an IPv6 address is missing
        return False
    return parts.scheme in ("http", "https") and bool(host) and _VISIBLE.fullmatch(text) is not None
