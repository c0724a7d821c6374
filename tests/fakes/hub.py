"""A hub on loopback that speaks the Hugging Face API over real HTTP, and can be told to misbehave.

It answers as huggingface.co does where huggingface_hub looks: model and data set info with file metadata, the tree,
`resolve` with `X-Repo-Commit` and `ETag`, and a redirect with `X-Linked-*` to another host for git-lfs files. It also
answers ModelScope's file API and git-lfs' batch API for the same repositories.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_DATE = "2024-02-26T08:58:12.000Z"
COMMIT = "84603cde5ebffb6084e476cfaeceaf0b8b91fe54"
_LFS_BYTES = 4096  # files from this size on are git-lfs files


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer for a file's content."""

    status: int = 0  # this answer instead of the content
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes, then the connection breaks
    reset: bool = False  # break it with RST instead of FIN
    wrong_byte: int | None = None  # this byte is flipped
    short_by: int = 0  # a whole answer, honest about its length, that lacks the last bytes
    no_length: bool = False  # no Content-Length: the end of the connection is the end of the file
    ignore_range: bool = False
    wrong_range: bool = False  # a 206 that starts somewhere else than asked
    bytes_per_second: int = 0
    held_from: int | None = None  # what comes behind this byte of the file is never sent; the connection stays open
    go_on: threading.Event | None = None  # nothing is sent before it is set


@dataclass
class Repository:
    """A repository's files, and how to misbehave about them."""

    files: dict[str, bytes]
    commit: str = COMMIT
    token: str = ""  # gated: only who has this token gets content
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)  # changes to what is told about a file


class FakeHub:
    """The server's state; `requests` is what was asked for, in order, content only."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)  # by path; each is used up by one answer
        self.always: dict[str, Fault] = {}  # by path, for every answer
        self.api_faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []  # path, Range header
        self.tokens: list[tuple[str, str]] = []  # host, Authorization header
        self.endpoint = ""
        self.content_endpoint = ""  # another host by name, as a content network is

    def add(self, name: str, files: Mapping[str, bytes], **more: Any) -> Repository:
        """Add a repository."""
        self.repositories[name] = Repository(dict(files), **more)
        return self.repositories[name]

    def fetched(self, path: str) -> list[str]:
        """Return the Range headers of the requests for a file."""
        return [wanted for asked, wanted in self.requests if asked == path]


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """Run a hub until the block ends."""
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = _Server(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    hub.content_endpoint = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_sha1(content: bytes) -> str:
    """Return git's name for a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@cache
def sha256(content: bytes) -> str:
    """Return the SHA-256 of a content, worked out once."""
    return hashlib.sha256(content).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._route(body=False)

    def do_GET(self) -> None:
        self._route(body=True)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        objects = [
            {**each, "actions": {"download": {"href": f"{self.hub.content_endpoint}/cdn/{each['oid']}"}}}
            for each in asked["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _route(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        path, query = unquote(url.path), {key: values[0] for key, values in parse_qs(url.query).items()}
        self.hub.tokens.append((self.headers["Host"].partition(":")[0], self.headers.get("Authorization", "")))
        if path.startswith("/cdn/"):
            self._cdn(path.removeprefix("/cdn/"))
        elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo(/files)?", path):
            self._modelscope(found[1], query.get("FilePath"))
        elif found := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            self._api(found[1], found[2] or "revision", found[3] or "main")
        elif found := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3], body=body)
        else:
            self._status(404)

    def _api(self, name: str, kind: str, revision: str) -> None:
        if self.hub.api_faults:
            fault = self.hub.api_faults.pop(0)
            self._status(fault.status, fault.headers)
            return
        repository = self._repository(name, revision)
        if repository is None:
            return
        if kind == "tree":
            self._json([_tree_entry(path, content) for path, content in repository.files.items()])
            return
        siblings = [_sibling(path, content, repository.listed) for path, content in repository.files.items()]
        told = {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}
        self._json({**told, "private": False, "downloads": 0, "likes": 0, "tags": [], "lastModified": _DATE})

    def _resolve(self, name: str, revision: str, path: str, *, body: bool) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        commit = {"X-Repo-Commit": repository.commit}
        if path not in repository.files:
            self._status(404, {**commit, "X-Error-Code": "EntryNotFound"})
            return
        if repository.token and self.headers.get("Authorization") != f"Bearer {repository.token}":
            self._status(401, {**commit, "X-Error-Code": "GatedRepo"})
            return
        content = repository.files[path]
        if len(content) < _LFS_BYTES:
            self._content(path, content, {**commit, "ETag": f'"{git_sha1(content)}"'}, body=body)
            return
        linked = {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{sha256(content)}"'}
        self._status(302, {**commit, **linked, "Location": f"{self.hub.content_endpoint}/cdn/{name}/{path}"})

    def _cdn(self, place: str) -> None:
        """Serve content by repository and path, or by its SHA-256."""
        for name, repository in self.hub.repositories.items():
            for path, content in repository.files.items():
                if place == f"{name}/{path}" or ("/" not in place and place == sha256(content)):
                    self._content(path, content, {"ETag": '"content"'}, body=self.command == "GET")
                    return
        self._status(404)

    def _modelscope(self, name: str, path: str | None) -> None:
        repository = self._repository(name, "main")
        if repository is None:
            return
        if path is not None:
            self._content(path, repository.files[path], {}, body=self.command == "GET")
            return
        files = [
            {"Path": path, "Type": "blob", "Size": len(content), "Sha256": sha256(content)}
            | repository.listed.get(path, {})
            for path, content in repository.files.items()
        ]
        files.append({"Path": "assets", "Type": "tree", "Size": 0, "Sha256": ""})
        self._json({"Code": 200, "Data": {"Files": files, "LatestCommitter": {"Id": repository.commit}}})

    def _repository(self, name: str, revision: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._status(404, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", "master", repository.commit):
            self._status(404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return repository

    def _content(self, path: str, content: bytes, headers: Mapping[str, str], *, body: bool) -> None:
        wanted = self.headers.get("Range", "")
        if not body:
            self._status(200, {**headers, "Content-Length": str(len(content))})
            return
        self.hub.requests.append((path, wanted))
        waiting = self.hub.faults[path]
        fault = waiting.pop(0) if waiting else self.hub.always.get(path, Fault())
        if fault.status:
            self._status(fault.status, fault.headers)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not fault.ignore_range else 0
        if start >= len(content) > 0:
            self._status(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        end = len(content) - fault.short_by
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        if start:
            told = start - 1 if fault.wrong_range else start
            self.send_header("Content-Range", f"bytes {told}-{end - 1}/{len(content)}")
        if fault.no_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(max(0, end - start)))
        self.end_headers()
        self._send(memoryview(content)[start:end], start, fault)

    def _send(self, content: memoryview, start: int, fault: Fault) -> None:
        if fault.wrong_byte is not None and fault.wrong_byte >= start:
            changed = bytearray(content)
            changed[fault.wrong_byte - start] ^= 0xFF
            content = memoryview(changed)
        if fault.go_on is not None:
            fault.go_on.wait()
        if fault.cut_after is not None:
            self.wfile.write(content[: fault.cut_after])
            self.wfile.flush()
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
        elif fault.held_from is not None:
            self.wfile.write(content[: max(0, fault.held_from - start)])
            self.connection.recv(1)  # comes back when the client is gone
            self.close_connection = True
        elif fault.bytes_per_second:
            step = max(1, fault.bytes_per_second // 50)
            for position in range(0, len(content), step):
                self.wfile.write(content[position : position + step])
                time.sleep(0.02)
        else:
            self.wfile.write(content)

    def _json(self, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _status(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def _sibling(path: str, content: bytes, listed: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
    if len(content) >= _LFS_BYTES:
        told["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
    return told | listed.get(path, {})


def _tree_entry(path: str, content: bytes) -> dict[str, Any]:
    told = _sibling(path, content, {})
    lfs = told.get("lfs")
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": told["blobId"],
        **({"lfs": {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": 134}} if lfs else {}),
    }
