"""A git server such as aimodels of the reference README: the tree through `git`, large files through git-lfs' API.

`git` fetches the commit and the small files. Large ones come by the batch API that git-lfs itself speaks
(https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md), so that they are resumed, hashed and shown like those
of every other source, and git-lfs need not be installed.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from baichuan_cli.hub.http import HttpRefusalError, open_url, read_all
from baichuan_cli.hub.source import Content, Listing, RemoteFile, SourceError

_LFS_JSON = "application/vnd.git-lfs+json"
_LONGEST_POINTER = 1024  # bytes, by git-lfs' specification
_SECONDS = 300  # for what git fetches, which is small
_SILENCE_SECONDS = 20
_LARGEST_BLOB = 64 << 20  # bytes; what is larger belongs into git-lfs, and could not be resumed from git
_POINTER = re.compile(rb"version https://git-lfs\S*\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n")


class GitServer:
    """A repository on a git server.

    Args:
        address: what `git clone` takes.
    """

    name = "aimodels"

    def __init__(self, address: str) -> None:
        self.repository = address
        self._blobs: dict[str, bytes] = {}  # the files that are in git itself, by path

    def list_files(self, revision: str | None) -> Listing:
        """List the repository with the size and hash of each file.

        Raises:
            SourceError: git is missing, or the server does not answer or does not have it.
        """
        if shutil.which("git") is None:
            raise SourceError("git is not installed", hint="Install git, or take another --source.")
        with tempfile.TemporaryDirectory(prefix="bcli-git-") as clone:
            _git(clone, "init", "--quiet", "--bare")
            # The content of large files is a pointer of a few lines, so this fetches little.
            _git(clone, "fetch", "--quiet", "--depth=1", "--no-tags", "--", self.repository, revision or "HEAD")
            commit = _git(clone, "rev-parse", "FETCH_HEAD").decode().strip()
            files = tuple(self._read_tree(clone, commit))
        return Listing(self.repository, commit, files)

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[Content]:
        """Open a file at a byte."""
        if file.path in self._blobs:
            yield _InMemory(self._blobs[file.path], offset)
            return
        try:
            url, headers = self._large_file(file)
            with open_url(url, headers, offset) as content:
                yield content
        except HttpRefusalError as error:
            raise SourceError(f"it answered {error.status} for {file.path}") from None

    def _read_tree(self, clone: str, commit: str) -> Iterator[RemoteFile]:
        for line in _git(clone, "ls-tree", "-r", "-l", "-z", commit).split(b"\0")[:-1]:
            description, _, path = line.partition(b"\t")
            _, kind, git_sha1, size = description.decode().split()
            if kind != "blob":
                continue
            name = os.fsdecode(path)
            if int(size) > _LARGEST_BLOB:
                raise SourceError(f"it keeps {name} in git itself, and not in git-lfs")
            content = _git(clone, "cat-file", "blob", git_sha1)
            pointer = _POINTER.match(content) if len(content) < _LONGEST_POINTER else None
            if pointer:
                yield RemoteFile(name, int(pointer[2]), sha256=pointer[1].decode())
            else:
                self._blobs[name] = content
                yield RemoteFile(name, len(content), git_sha1=git_sha1)

    def _large_file(self, file: RemoteFile) -> tuple[str, Mapping[str, str]]:
        base = self.repository.rstrip("/")
        request = {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": file.sha256, "size": file.size}],
        }
        answer = read_all(
            f"{base}{'' if base.endswith('.git') else '.git'}/info/lfs/objects/batch",
            {"Accept": _LFS_JSON, "Content-Type": _LFS_JSON},
            data=json.dumps(request).encode(),
        )
        try:
            [described] = json.loads(answer)["objects"]
            download = described["actions"]["download"]
            return str(download["href"]), {str(key): str(value) for key, value in download.get("header", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError(f"it does not give {file.path}") from None


class _InMemory:
    def __init__(self, content: bytes, start: int) -> None:
        self.start = start
        self._rest = io.BytesIO(content[start:])

    def readinto(self, buffer: memoryview) -> int:
        return self._rest.readinto(buffer)


def _git(folder: str, *arguments: str) -> bytes:
    # A server that asks for a password must not stop a download that nobody watches; hooks and filters stay off.
    environment = {
        **os.environ,
        **{"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"},
        **{"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": str(_SILENCE_SECONDS)},
    }
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments], cwd=Path(folder), env=environment, capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"git did not finish within {_SECONDS} seconds") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise SourceError(f"git failed ({last[0]})")
    return done.stdout
