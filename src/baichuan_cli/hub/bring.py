"""Bringing a model into the store: its record says `partial` until the last file is there and all of them fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.convert import convert_weights, put_in_place
from baichuan_cli.hub.download import Job, run
from baichuan_cli.hub.fetch import UNFINISHED_SUFFIX, Listener
from baichuan_cli.hub.manifest import FileRecord, Manifest
from baichuan_cli.hub.selection import is_bin_weight
from baichuan_cli.hub.source import Listing
from baichuan_cli.hub.store import Store


def bring_model(
    store: Store, name: str, job: Job, listener: Listener, *, workers: int, may_lack_files: bool
) -> Manifest:
    """Bring a model's files into the store and return its record. Hold the store's lock on the name meanwhile.

    Args:
        store: where it goes.
        name: what the store calls it.
        job: the files; an earlier download of them is continued.
        listener: told how far every file is.
        workers: how many files come at a time.
        may_lack_files: the files need not be all that the model needs; where something lacks it stays `partial`.

    Raises:
        BcliError: a file could not be had or is damaged, or the files do not make a model; what is there is kept.
    """
    before = store.read(name)
    converted = converted_files(before, job.listing)
    kept = _unselected_files(before, job)
    manifest = Manifest(
        name=name,
        source=job.source.name,
        repository=job.listing.repository,
        revision=job.listing.revision,
        patches={path: record for path, record in before.patches.items() if path in job.present} if before else {},
    )

    def keep(records: Mapping[str, FileRecord]) -> None:
        store.write(manifest.model_copy(update={"files": {**kept, **converted, **records}}))

    keep(job.present)
    records = run(job, listener, keep, workers=workers)
    gone = set(before.files) - {*kept, *converted, *records} if before else set()
    if converted:
        gone |= {file.path for file in job.listing.files if is_bin_weight(file.path)}
    _remove(job.folder, gone)
    complete = _can_be_read(job.folder, may_lack_files=may_lack_files)
    if complete:
        for unfinished in job.folder.rglob(f"*{UNFINISHED_SUFFIX}"):
            unfinished.unlink()  # of another version, or of a conversion that was stopped
    manifest = manifest.model_copy(
        update={"files": {**kept, **converted, **records}, "state": "complete" if complete else "partial"}
    )
    return store.write(manifest)


def _can_be_read(folder: Path, *, may_lack_files: bool) -> bool:
    try:
        read_checkpoint(folder)
    except BcliError:
        if not may_lack_files:
            raise
        return False
    return True


def _unselected_files(manifest: Manifest | None, job: Job) -> dict[str, FileRecord]:
    """Return files of this very commit that an earlier download brought and this one does not ask for: they stay."""
    if manifest is None or not _same_commit(manifest, job.listing):
        return {}
    wanted = {file.path for file in job.files}
    listed = {file.path for file in job.listing.files}
    return {path: record for path, record in manifest.files.items() if path in listed - wanted}


def converted_files(manifest: Manifest | None, listing: Listing) -> dict[str, FileRecord]:
    """Return the safetensors files that bcli made from the `.bin` files of this very commit; mostly none.

    A conversion that was cut short has both in the record, and counts for nothing.
    """
    if manifest is None or not _same_commit(manifest, listing):
        return {}
    if any(is_bin_weight(path) for path in manifest.files):
        return {}
    listed = {file.path for file in listing.files}
    return {path: record for path, record in manifest.files.items() if ".safetensors" in path and path not in listed}


def _same_commit(manifest: Manifest, listing: Listing) -> bool:
    """Tell whether a record is of the commit that the source lists now; a plain folder has none."""
    return bool(listing.revision) and manifest.revision == listing.revision


def convert_model(store: Store, name: str) -> Manifest:
    """Convert the `.bin` weights of a model in the store to safetensors and return its new record.

    A model without `.bin` weights is left as it is. Hold the store's lock on the name meanwhile.

    Raises:
        BcliError: a file holds something else than tensors, or they do not fit the configuration; the model is as it
            was.
    """
    manifest, folder = store.read(name), store.folder(name)
    assert manifest is not None  # it has just been downloaded
    replaced = {path for path in manifest.files if is_bin_weight(path)}
    if not replaced:
        return manifest
    records = convert_weights(folder, [path for path in sorted(replaced) if path.endswith(".bin")])
    both = {**manifest.files, **records}
    files = {path: record for path, record in both.items() if path not in replaced}
    # From here to the end a kill leaves a partial model, which the next download mends.
    store.write(manifest.model_copy(update={"state": "partial", "files": both}))
    put_in_place(folder, records)
    try:
        read_checkpoint(folder)  # shapes show only now: a pickle is not looked into
    except BcliError:
        _remove(folder, set(records))
        store.write(manifest)
        raise
    store.write(manifest.model_copy(update={"state": "partial", "files": files}))
    _remove(folder, replaced)
    return store.write(manifest.model_copy(update={"state": "complete", "files": files}))


def _remove(folder: Path, names: set[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
