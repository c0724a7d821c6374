"""The proof that a patched tokenizer works: transformers loads it in another process, and its ids are compared."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode

_SECONDS = 180  # a first import of transformers and torch from a network disk takes a minute


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found to be the same as SentencePiece.

    Attributes:
        class_name: the class that transformers made of the folder.
        transformers: the release that did.
        texts: how many texts were compared.
        fast: whether the exact fast tokenizer, which vLLM gets from bcli, could be compared as well.
    """

    class_name: str
    transformers: str
    texts: int
    fast: bool


def missing_packages() -> tuple[str, ...]:
    """Return what the proof needs and this environment lacks."""
    return tuple(name for name in ("transformers", "sentencepiece") if importlib.util.find_spec(name) is None)


def prove(folder: Path, *, fast: bool, seconds: float = _SECONDS) -> Proof:
    """Load a tokenizer with transformers in a child process and compare it with bcli's own and with SentencePiece.

    Args:
        folder: the checkpoint.
        fast: load it as plain transformers does; else allow the repository's own code, which runs then.
        seconds: how long the child may take.

    Raises:
        BcliError: it does not load, gives other ids, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="bcli-proof-") as scratch:
        result = Path(scratch) / "result.json"
        arguments = [str(folder.resolve()), "fast" if fast else "code", str(result)]
        log = _run([sys.executable, "-m", "baichuan_cli.tokenizer.proof_child", *arguments], scratch, seconds)
        found = json.loads(result.read_bytes()) if result.exists() else {"error": _last_line(log) or "it ended early"}
    if error := found.get("error"):
        raise _failed(error, log)
    return Proof(**found)


def _run(command: list[str], scratch: str, seconds: float) -> str:
    """Run the child away from any network and any cache; return what it wrote."""
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": scratch,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry),
        "TRANSFORMERS_VERBOSITY": "error",
    }
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=scratch,
        env=environment,
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BcliError(
                f"The patched tokenizer did not load within {seconds:g} seconds.",
                hint="The files stay patched. --no-verify skips this test, --revert undoes the patch.",
                exit_code=ExitCode.INVALID,
            ) from None
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
    return output.decode(errors="replace")


def _last_line(log: str) -> str:
    return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")


def _failed(error: str, log: str) -> BcliError:
    tail = "\n".join(log.splitlines()[-10:])
    hint = "The files stay patched. --revert undoes the patch, --no-verify skips this test."
    return BcliError(
        f"The patched tokenizer failed: {error.rstrip('.')}.",
        hint=f"{tail}\n{hint}".strip(),
        exit_code=ExitCode.INVALID,
    )
