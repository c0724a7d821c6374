"""Why a server could not be reached or was lost, from what aiohttp raises."""

from __future__ import annotations

import os
import socket

import aiohttp

from baichuan_cli.engine.server_error import ServerError


def was_refused(error: aiohttp.ClientError) -> bool:
    """Tell whether the connection was turned away before anything could be sent, so that asking again is safe."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, (ConnectionRefusedError, ConnectionResetError)
    )


def lost(url: str, error: aiohttp.ClientError) -> ServerError:
    """Return the error for a connection that was not made or broke before an answer began."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            message = f"The certificate of {url} is not trusted: {error.certificate_error}"
            hint = "Name the host as the certificate does; for a self-signed one set SSL_CERT_FILE to its file."
        case aiohttp.ClientConnectorSSLError():
            message, hint = f"{url} does not speak TLS: {error.os_error}", "Try http:// instead of https://"
        case aiohttp.ClientProxyConnectionError():
            message = f"The proxy {error.host}:{error.port} on the way to {url} does not answer: {error.strerror}."
            hint = "Check http_proxy and https_proxy, or add the host to no_proxy."
        case aiohttp.ClientConnectorError():
            message = f"Nothing answers at {url}{_why(error.os_error)}."
            hint = "Check the address and that the server runs. One starts with: bcli serve MODEL"
        case aiohttp.ServerTimeoutError():
            message = f"{url} does not accept a connection: no answer in time."
            hint = "Check host and port; a firewall may be in between."
        case aiohttp.ClientHttpProxyError():
            message = f"The proxy on the way to {url} does not let this through ({error.status}): {error.message}"
            hint = "Check https_proxy, or add the host to no_proxy."
        case aiohttp.ClientResponseError():
            message, hint = f"What answers at {url} does not speak HTTP: {error.message}", "Check the port."
        case _:
            message = f"The server at {url} closed the connection before it answered."
            hint = "It may have crashed: look at its log."
    return ServerError(message, hint=hint)


def _why(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return f": {error.strerror}"
        case OSError(errno=int(number)):
            return f": {os.strerror(number)}"  # asyncio puts the address into its own text
        case _:  # several addresses were tried, each with an error of its own
            return ""
