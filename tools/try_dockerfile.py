"""Carry out the Dockerfile's steps in a clean virtual environment, where no Docker engine is at hand.

    python3 tools/try_dockerfile.py

The environment gets old packages first, as a vendor's image has them; installing bcli must leave them alone. What is
left out: FROM, the libraries of the system, and the user. Needs a network or a package index, and about a minute.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_IMAGE = "/opt/bcli"

# The oldest that bcli takes, near those of the vendor's image with Python 3.10 and vLLM 0.5.0.
VENDORS = (
    *("pydantic==2.7.4", "typer==0.12.5", "click==8.1.7"),  # this Typer does not work with Click 8.2 and later
    *("huggingface_hub==0.23.5", "aiohttp==3.9.5", "PyYAML==6.0.1"),
)


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with what follows each."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def arguments_of(steps: list[tuple[str, str]], instruction: str) -> list[str]:
    """Return what follows each instruction of a kind."""
    return [rest for word, rest in steps if word == instruction]


def copy(step: str, image: Path) -> None:
    """Carry out a COPY into a folder that stands for the image's root."""
    *sources, target = step.split()
    into = image / target.lstrip("/")
    for source in (ROOT / each for each in sources):
        if source.is_dir():
            shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into)


class Health(BaseHTTPRequestHandler):
    """A server that is well under /health, and nowhere else."""

    def do_GET(self) -> None:  # noqa: N802  the name is http.server's
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def check_health(step: str, environment: dict[str, str]) -> None:
    """Carry out the HEALTHCHECK against a server that is well, and one that is not."""
    command = json.loads(step.partition("CMD")[2])
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path, well in (("/health", True), ("/loading", False)):
            url = f"http://127.0.0.1:{server.server_port}{path}"
            done = subprocess.run(command, env={**environment, "HEALTH_URL": url}, capture_output=True, check=False)
            assert (done.returncode == 0) == well, f"{url}: exit code {done.returncode}"
        server.shutdown()


def main() -> int:
    """Carry out the steps, one after the other; the first that fails ends it."""
    steps = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        venv.create(Path(folder) / "venv", with_pip=True)
        environment = {
            **os.environ,
            "PATH": f"{folder}/venv/bin:{os.environ['PATH']}",
            "EXTRA": "",
            "BCLI_HOME": folder,
        }
        run = {"env": environment, "check": True, "cwd": folder}
        subprocess.run([f"{folder}/venv/bin/python3", "-m", "pip", "install", "--quiet", *VENDORS], **run)
        for step in arguments_of(steps, "COPY"):
            copy(step, image)
        [install] = [step for step in arguments_of(steps, "RUN") if "install_beside" in step]
        subprocess.run(["bash", "-o", "pipefail", "-c", install.replace(IN_IMAGE, f"{image}{IN_IMAGE}")], **run)
        [entrypoint] = arguments_of(steps, "ENTRYPOINT")
        start = [part.replace(IN_IMAGE, f"{image}{IN_IMAGE}") for part in json.loads(entrypoint)]
        for command in (
            "--version",
            "docker --profile k100",
            "serve demo --profile k100 --vllm-version 0.5.0 --explain",
        ):
            subprocess.run([*start, *shlex.split(command)], stdout=subprocess.DEVNULL, **run)
        [healthcheck] = arguments_of(steps, "HEALTHCHECK")
        check_health(healthcheck, environment)
    print("The steps of the Dockerfile work in a clean environment, and the packages in it stayed as they were.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
