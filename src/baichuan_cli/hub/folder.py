"""A plain directory as a source, for machines without a network: a disk that was carried there, or a shared one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from baichuan_cli.errors import BcliError
from baichuan_cli.hub.manifest import FileRecord, read_manifest
from baichuan_cli.hub.source import Content, Listing, RemoteFile, SourceError
from baichuan_cli.paths import expand_home


class Folder:
    """A folder that holds a model, or holds it below its name or repository.

    Args:
        place: a path or a `file://` address.
        names: where the model may lie below it, likeliest first.
    """

    name = "folder"

    def __init__(self, place: str, names: tuple[str, ...]) -> None:
        path = unquote(urlsplit(place).path) if place.startswith("file:") else place
        self._root = expand_home(path).absolute()
        self._names = names
        self.repository = str(self._root)

    def list_files(self, revision: str | None) -> Listing:
        """List the folder.

        The hashes are those that bcli recorded there, if it made the folder. The revision stands for the names, sizes
        and times of the files: a copy that was made of these very files need not be made again.

        Raises:
            SourceError: there is no such folder, or a revision is asked for.
        """
        if revision:
            raise SourceError("a folder has no revisions", hint="Leave --revision out.")
        folder = next(
            (
                folder
                for folder in (self._root, *(self._root / name for name in self._names))
                if (folder / "config.json").is_file()
            ),
            None,
        )
        if folder is None:
            raise SourceError(
                f"there is no model in {self._root}",
                hint=f"Give the folder with its config.json, or the one that holds {self._names[0]}.",
            )
        self.repository = str(folder)
        known = _recorded(folder)
        files, state = [], hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name, found = path.relative_to(folder).as_posix(), path.stat()
            record = known.get(name)
            files.append(RemoteFile(name, found.st_size, sha256=record.sha256 if record else None))
            if not name.startswith("."):
                state.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode(errors="surrogateescape"))
        return Listing(self.repository, state.hexdigest(), tuple(files))

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[Content]:
        """Open a file at a byte."""
        with (Path(listing.repository) / file.path).open("rb", buffering=0) as opened:
            opened.seek(offset)
            yield _Opened(opened, offset)


class _Opened:
    def __init__(self, file: BinaryIO, start: int) -> None:
        self.start = start
        self._file = file

    def readinto(self, buffer: memoryview) -> int:
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        return count


def _recorded(folder: Path) -> Mapping[str, FileRecord]:
    """Return what bcli knows of the files, where the folder is a copy of one in a store."""
    try:
        manifest = read_manifest(folder)
    except BcliError:
        return {}  # the record is damaged, the files need not be
    return manifest.expected() if manifest and manifest.state == "complete" else {}
