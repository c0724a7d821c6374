"""Whether a server is ready, asked of the server itself: its health, then one answer of one token."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from baichuan_cli.engine.log import end_of
from baichuan_cli.errors import BcliError, ExitCode

_HEALTH_SECONDS = 5.0
_ANSWER_SECONDS = 600.0  # kernels may be compiled for the first answer
_PROMPT = [1]  # `<s>`, which every Baichuan has


def healthy(url: str) -> bool:
    """Tell whether the server at a base URL (`http://127.0.0.1:8000/v1`) says that it is up."""
    try:
        return _request(url, "GET", "/health", timeout=_HEALTH_SECONDS)[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def require_answer(url: str, model: str, api_key: str | None, log_path: Path) -> None:
    """Have the server answer with one token.

    Raises:
        BcliError: it answers with an error; the end of its log is told too.
        OSError: the connection broke.
        http.client.HTTPException: what came back was no answer.
    """
    body = {"model": model, "prompt": _PROMPT, "max_tokens": 1, "temperature": 0}
    path = f"{urlsplit(url).path}/completions"
    status, answer = _request(url, "POST", path, body=body, api_key=api_key, timeout=_ANSWER_SECONDS)
    if status != http.client.OK:
        raise BcliError(
            f"vLLM's server is up but does not answer: {status} {answer.decode('utf-8', 'replace')[:300]}",
            hint=end_of(log_path),
            exit_code=ExitCode.ENGINE,
        )


def _request(
    url: str, method: str, path: str, *, timeout: float, body: object = None, api_key: str | None = None
) -> tuple[int, bytes]:
    """Return status and body; straight to the server, whatever proxies the environment names."""
    address = urlsplit(url)
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        # Our own child on this machine: nobody else to tell it from, and a certificate seldom names 127.0.0.1.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
