"""Do one thing to a store again and again, killed one step later each time: `python killed_at_every_step.py THING`.

A step is whatever touches the file system, as Python's audit events report it. After each kill one line of JSON says
what the next process finds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from baichuan_cli.hub.manifest import FileRecord, Manifest
from baichuan_cli.hub.store import Store

_STEPS = ("open", "os.", "shutil.")
OLD = Manifest(name="model", source="huggingface", files={"config.json": FileRecord(size=2)}, state="complete")
NEW = OLD.model_copy(update={"state": "partial", "revision": "b" * 40})


def kill_at(step: int) -> None:
    left = step

    def hook(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            if left == 0:
                signal.raise_signal(signal.SIGKILL)  # os.kill would be an event itself
            left -= 1

    sys.addaudithook(hook)


def set_up(parent: Path) -> Store:
    store = Store(parent / "models")
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir(parents=True)
    (elsewhere / "precious").write_text("stays")
    store.write(OLD)
    folder = store.folder("model")
    for name in ("config.json", "sub/deep/a", "sub/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    (folder / "link").symlink_to(elsewhere)
    (folder / "sub" / "file-link").symlink_to(elsewhere / "precious")
    return store


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def what_is_left(parent: Path, store: Store) -> dict[str, object]:
    manifest = store.read("model")
    present = store.names()
    found = {
        "names": present,
        "files": len(files_of(store.folder("model"))) if present else 0,
        "record": manifest and ("old" if manifest.revision == "" else "new"),
        "precious": (parent / "elsewhere" / "precious").read_text(),
    }
    if present:
        store.remove("model")
    store.empty_trash()
    found["after"] = files_of(store.root)
    return found


def run(act: Callable[[Store], None]) -> None:
    for step in range(200):
        with tempfile.TemporaryDirectory() as parent:
            store = set_up(Path(parent))
            if (child := os.fork()) == 0:
                kill_at(step)
                act(store)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            found = {"killed": status == signal.SIGKILL, **what_is_left(Path(parent), store)}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()  # or the next child would write it again
            if status == 0:
                return


def remove(store: Store) -> None:
    store.remove("model")


def write(store: Store) -> None:
    with store.lock("model"):
        store.write(NEW)


if __name__ == "__main__":
    run({"remove": remove, "write": write}[sys.argv[1]])
