"""Take out of a text what its reader must not see: tokens, keys, names of people and machines, home folders.

A text is blacked out as a whole, after it was put together, so that nothing gets past by a side door. What this
person's secrets are is known from the environment; the shapes of others' are known from the services that make them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

SECRET = "<secret>"
USER = "<user>"
HOST = "<host>"

#: Names of accounts that many machines have; they say nothing about anybody, and some are words of every report.
_NOBODY = frozenset(
    (
        *("root", "user", "users", "admin", "administrator", "nobody", "guest", "home", "worker", "service", "runner"),
        *("ubuntu", "debian", "centos", "ec2-user", "docker", "jovyan", "jenkins", "app", "dev", "test", "work"),
        *("vllm", "torch", "python", "model", "models", "data", "ai", "gpu", "llm", "baichuan"),
    )
)
_SHORTEST_SECRET = 6  # characters; "1" and "true" are switches

#: Variables whose values are secrets, by their names.
_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|(?:^|_)AUTH(?:_|$)|(?:^|_)PWD_", re.I)

_URL_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")
_SPEAKS_OF_A_SECRET = r"[\w-]*(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|signature)"
_VALUE = r"(?:bearer |basic )?(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',;&]+)"
#: `name=value`, `name: value`, `"name": "value"`, and `--name value`.
_ASSIGNED = re.compile(
    rf"(?P<name>{_SPEAKS_OF_A_SECRET}[\"']?\s*[=:]\s*|--{_SPEAKS_OF_A_SECRET}\s+)(?P<value>{_VALUE})", re.IGNORECASE
)
_SHAPES = re.compile(
    r"\bhf_[A-Za-z0-9]{8,}"  # Hugging Face
    r"|\bsk-[A-Za-z0-9_-]{8,}"  # OpenAI and those who copy it
    r"|\bms-[0-9a-f]{8}-[0-9a-f-]{20,}"  # ModelScope
    r"|\b(?:gh[opsur]_|github_pat_)\w{8,}"
    r"|\bglpat-[\w-]{8,}"
    r"|\bAKIA[0-9A-Z]{16}\b"  # Amazon
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JSON Web Token
    r"|(?<=\bbearer )\S+|(?<=\bbasic )[A-Za-z0-9+/=]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.I,
)
_HOMES = re.compile(r"(?<=/home/)(?!<user>)[^/\s\"':;,]+|(?<=/Users/)(?!<user>)[^/\s\"':;,]+")


@dataclass(frozen=True, slots=True)
class Private:
    """What must not be seen of this person and this machine."""

    secrets: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def is_secret(variable: str) -> bool:
    """Tell whether an environment variable holds a secret, by its name."""
    return _SECRET_NAME.search(variable) is not None


def private_of(environment: Mapping[str, str], *, user: str, home: str, host: str) -> Private:
    """Return what must not be seen.

    Args:
        environment: the person's variables.
        user: the name of the account.
        home: its folder.
        host: the machine's name in the network.
    """
    secrets = [value for name, value in environment.items() if is_secret(name) and len(value) >= _SHORTEST_SECRET]
    homes = [folder.rstrip("/") for folder in (home, environment.get("HOME", "")) if len(folder.rstrip("/")) > 1]
    names = [user, *(environment.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER"))]
    names += [PurePosixPath(folder).name for folder in homes]
    return Private(
        secrets=_longest_first(secrets),
        homes=_longest_first(homes),
        users=_longest_first([name for name in names if name and name.lower() not in _NOBODY]),
        hosts=_longest_first([host] if host and host != "localhost" else []),
    )


def black_out(text: str, private: Private) -> str:
    """Return the text without what must not be seen; what stands in its place says what it was."""
    for secret in private.secrets:
        text = text.replace(secret, SECRET)
    text = _URL_PASSWORD.sub(f"{SECRET}@", text)
    text = _SHAPES.sub(SECRET, text)
    text = _ASSIGNED.sub(lambda found: f"{found['name']}{SECRET}", text)
    for home in private.homes:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    text = _HOMES.sub(USER, text)
    for user in private.users:
        text = _word(user).sub(USER, text)
    for host in private.hosts:
        text = _word(host).sub(HOST, text)
    return text


def _word(name: str) -> re.Pattern[str]:
    """Return a pattern for a name that stands by itself, or between signs as in `zhang_models`, once or repeated."""
    return re.compile(rf"(?<![^\W_])(?:{re.escape(name)})+(?![^\W_])", re.I)


def _longest_first(texts: list[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(texts), key=lambda text: (-len(text), text)))
