"""ModelScope, by its file API.

The package `modelscope` is not used: its `get_model_files` no longer gives the SHA-256 of files (1.40), which the
server sends, and without it nothing can be verified. The hashes also pin the content: the API takes a branch or a tag
(that package's documentation: no commit), which may move on between the list and a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from baichuan_cli.hub.http import HttpRefusalError, open_url, read_all
from baichuan_cli.hub.network import check_token, server_address
from baichuan_cli.hub.patience import patiently
from baichuan_cli.hub.source import Content, Listing, RemoteFile, SourceError

_MAIN_BRANCH = "master"


class ModelScope:
    """A model's repository on ModelScope; `MODELSCOPE_API_TOKEN` opens private ones."""

    name = "modelscope"

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self._branch = _MAIN_BRANCH

    def list_files(self, revision: str | None) -> Listing:
        """List the repository with the size and SHA-256 of each file.

        Raises:
            SourceError: it does not answer or does not have it.
        """
        self._branch = revision or _MAIN_BRANCH
        query = urlencode({"Revision": self._branch, "Recursive": "true"})
        try:
            answer = patiently(lambda: read_all(f"{self._api}/repo/files?{query}", _headers()))
        except HttpRefusalError as error:
            raise self._refusal(error) from None
        try:
            data = json.loads(answer)["Data"]
            files = tuple(_remote_file(entry) for entry in data["Files"] if entry.get("Type") != "tree")
            commit = (data.get("LatestCommitter") or {}).get("Id")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError("its answer makes no sense") from None
        return Listing(self.repository, str(commit or self._branch), files)

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[Content]:
        """Open a file at a byte."""
        query = urlencode({"Revision": self._branch, "FilePath": file.path})
        try:
            with open_url(f"{self._api}/repo?{query}", _headers(), offset) as content:
                yield content
        except HttpRefusalError as error:
            raise self._refusal(error) from None

    @property
    def _api(self) -> str:
        return f"{server_address('MODELSCOPE_ENDPOINT', 'https://modelscope.cn')}/api/v1/models/{self.repository}"

    def _refusal(self, error: HttpRefusalError) -> SourceError:
        if error.status in (401, 403, 404):
            return SourceError(
                f"it has no {self.repository}, or shows it only with a token",
                hint="A private repository needs MODELSCOPE_API_TOKEN.",
            )
        return SourceError(f"it answered {error.status} for {self.repository}")


def _headers() -> Mapping[str, str]:
    token = os.environ.get("MODELSCOPE_API_TOKEN")
    if not token:
        return {"User-Agent": "bcli"}
    check_token(token, hint="Check MODELSCOPE_API_TOKEN.")
    return {"User-Agent": "bcli", "Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}


def _remote_file(entry: Any) -> RemoteFile:
    sha256 = entry.get("Sha256")
    return RemoteFile(str(entry["Path"]), int(entry["Size"]), sha256=sha256.lower() if sha256 else None)
