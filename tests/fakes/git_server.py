"""A git server on loopback: `git http-backend` behind real HTTP, with git-lfs' batch API for the large files."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from fakes.hub import sha256

_LFS_BYTES = 1000


@dataclass
class FakeGitServer:
    """Where it listens, and what it has beside git."""

    root: Path
    address: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    asked: list[tuple[str, str]] = field(default_factory=list)  # SHA-256 and Range of each content

    def add(self, name: str, files: Mapping[str, bytes]) -> str:
        """Commit files, the large ones as git-lfs pointers, and return the commit."""
        work = self.root / f"{name}.work"
        work.mkdir(parents=True)
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            if len(content) >= _LFS_BYTES:
                self.objects[sha256(content)] = content
                pointer = f"oid sha256:{sha256(content)}\nsize {len(content)}\n"
                content = f"version https://git-lfs.github.com/spec/v1\n{pointer}".encode()
            (work / path).write_bytes(content)
        _git(work, "init", "--quiet", "--initial-branch=main")
        _git(work, "add", ".")
        _git(work, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "first")
        _git(self.root, "clone", "--quiet", "--bare", str(work), name)
        return _git(work, "rev-parse", "HEAD").strip()


@contextmanager
def running_git_server(root: Path) -> Iterator[FakeGitServer]:
    """Run a server until the block ends."""
    state = FakeGitServer(root)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: FakeGitServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/content/"):
            self._content(self.path.removeprefix("/content/"))
        else:
            self._git(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.endswith(".git/info/lfs/objects/batch"):
            self._git(body)
            return
        objects = []
        for wanted in json.loads(body)["objects"]:
            href = f"{self.server_state.address}/content/{wanted['oid']}"
            action = {"download": {"href": href, "header": {"X-Key": "given"}}}
            known = wanted["oid"] in self.server_state.objects
            objects.append({**wanted, **({"actions": action} if known else {"error": {"code": 404}})})
        self._answer(200, json.dumps({"objects": objects}).encode())

    def _content(self, oid: str) -> None:
        assert self.headers["X-Key"] == "given"
        wanted = self.headers.get("Range", "")
        self.server_state.asked.append((oid, wanted))
        content = self.server_state.objects[oid]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if wanted else {}
        self._answer(206 if wanted else 200, content[start:], headers)

    def _git(self, body: bytes) -> None:
        url = urlsplit(self.path)
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._answer(int(headers.pop("Status", "200").split()[0]), content, headers)

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
