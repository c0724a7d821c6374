"""The local store: one folder a model under `$BCLI_HOME/data/models`, each with its record.

models/baichuan2-7b-chat/            the files, and .bcli-manifest.json
models/my-model/.bcli-manifest.json  a registered model: only the record, the files lie elsewhere
models/.locks/                       one file a name, so that two processes do not change a model at once
models/.trash/                       what is being removed; a kill leaves it there and the next change empties it
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.atomic_file import UNFINISHED_SUFFIX, sync_folder
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.file_lock import try_lock
from baichuan_cli.hub.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from baichuan_cli.hub.names import check_store_name, is_store_name


class Store:
    """The models below one folder. Nothing is created before something is written.

    Names are taken in any case and written in lower case; a folder that a person put there keeps its spelling.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Return the folder of a model in the store, whether it exists or not.

        Raises:
            BcliError: the name cannot be a model's name.
        """
        wanted = check_store_name(name)
        spellings = [child for child in self._children() if child.name.lower() == wanted]
        return (
            next((child for child in spellings if child.name == name), spellings[0])
            if spellings
            else (self.root / wanted)
        )

    def names(self) -> list[str]:
        """Return the names of what is in the store: whatever has a record or a config.json."""
        return [
            child.name
            for child in self._children()
            if any((child / file).exists() for file in (FILE_NAME, "config.json"))
        ]

    def read(self, name: str) -> Manifest | None:
        """Return a model's record, or None where the model has none or is not there.

        Raises:
            BcliError: the record is damaged, a newer bcli wrote it, or the name cannot be a model's name.
        """
        folder = self.folder(name)
        manifest = read_manifest(folder)
        return manifest.model_copy(update={"name": folder.name}) if manifest else None

    def write(self, manifest: Manifest) -> Manifest:
        """Write a model's record in one step, with its folder if need be, and return it as written.

        Hold `lock(name)` meanwhile: the last writer wins.
        """
        folder = self.folder(manifest.name)
        folder.mkdir(parents=True, exist_ok=True)
        return write_manifest(folder, manifest)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes from changing a model meanwhile; do not nest.

        Where the file system has no locks nothing is kept out.

        Raises:
            BcliError: another process is changing it.
        """
        wanted = check_store_name(name)
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        fd = os.open(locks / wanted, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            if try_lock(fd) == "taken":
                raise BcliError(
                    f"Another bcli is downloading or changing {wanted}.",
                    hint="Wait for it to finish, then try again.",
                    exit_code=ExitCode.OUTPUT,
                )
            for unfinished in self.folder(wanted).glob(f".{FILE_NAME}.*{UNFINISHED_SUFFIX}"):
                unfinished.unlink(missing_ok=True)  # left by a writer that was killed
            yield
        finally:
            os.close(fd)

    def remove(self, name: str) -> None:
        """Remove a model from the store; of a registered or linked one the files elsewhere stay.

        The folder goes out of the store in one step, so a kill leaves the model either whole or gone. Symbolic links
        are removed, never followed.

        Raises:
            BcliError: it is not in the store, another process is changing it, or something could not be removed.
        """
        with self.lock(name):
            self.empty_trash()
            folder = self.folder(name)
            if folder.is_symlink():
                folder.unlink()
            elif folder.is_dir():
                trash = self._trash()
                trash.mkdir(exist_ok=True)
                folder.rename(trash / f"{folder.name}.{uuid.uuid4().hex}")
            else:
                raise BcliError(
                    f"{name} is not in the store.", hint="See what is: bcli models ls", exit_code=ExitCode.NOT_FOUND
                )
            sync_folder(self.root)
        self.empty_trash()

    def empty_trash(self) -> None:
        """Delete what a removal, perhaps one that was killed, has put aside.

        Raises:
            BcliError: something could not be deleted.
        """
        trash = self._trash()
        if not trash.is_dir():
            return
        for child in trash.iterdir():
            # Another process may be emptying it as well.
            if child.is_symlink() or not child.is_dir():
                child.unlink(missing_ok=True)
            else:
                shutil.rmtree(child, ignore_errors=True)
            if child.exists():
                raise BcliError(
                    f"Not all of {child} could be removed.",
                    hint=f"Check the permissions, then remove it by hand: rm -r {child}",
                    exit_code=ExitCode.OUTPUT,
                )

    def _children(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(child for child in self.root.iterdir() if is_store_name(child.name) and child.is_dir())

    def _trash(self) -> Path:
        trash = self.root / ".trash"
        if trash.is_symlink():
            raise BcliError(
                f"{trash} is a symbolic link, and nothing behind it will be deleted.",
                hint=f"Remove the link: rm {trash}",
                exit_code=ExitCode.INVALID,
            )
        return trash


def default_store() -> Store:
    """Return the store of this person."""
    return Store(paths.data_dir() / "models")


def size_on_disk(folder: Path) -> int:
    """Return the bytes of all files below a folder; links to files are followed, links to folders are not."""
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                total += (Path(parent) / file).stat().st_size
            except FileNotFoundError:
                continue  # a link to nothing, or a file that has just gone
    return total
