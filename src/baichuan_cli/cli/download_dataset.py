"""`bcli download` for a data set of the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_cli.cli.download_progress import listening
from baichuan_cli.cli.download_report import file_size
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.sizes import gigabytes

if TYPE_CHECKING:
    from baichuan_cli.cli.output import Output
    from baichuan_cli.hub.datasets import Dataset


def download_dataset(
    dataset: Dataset, out: Output, *, source: str, revision: str | None, dry_run: bool, quiet: bool
) -> None:
    """Download a data set's file, or only tell what that would take.

    Raises:
        BcliError: no source has it, the disk is too small, or it arrives damaged.
    """
    from baichuan_cli.hub.download import make_job, require_space, run
    from baichuan_cli.hub.sources import dataset_sources, first_answer
    from baichuan_cli.hub.store import Store

    with out.status("Asking for the file …"):
        by_hand = f"Put the file there by hand: {dataset.path}"
        found = first_answer(dataset_sources(dataset.repository, source, by_hand), revision, by_hand)
    files = [file for file in found.listing.files if file.path == dataset.file]
    if not files:
        raise BcliError(
            f"{dataset.repository} has no {dataset.file} any more.",
            hint="Try an older --revision.",
            exit_code=ExitCode.NOT_FOUND,
        )
    job = make_job(found.source, found.listing, files, dataset.folder, None)
    if not quiet and not out.json_mode:
        size, free = file_size(job.missing_bytes), gigabytes(job.free_bytes)
        out.note(f"{dataset.repository} · {dataset.file} · {file_size(job.total_bytes)} · from {found.source.name}")
        out.note(f"disk    {size} needed, {free} free in {dataset.folder}")
    if not dry_run:
        require_space(job, 0)
        with (
            stopping("What has come so far is kept.", "Run the same command again: it continues there."),
            Store(dataset.folder.parent).lock(dataset.name),
            listening(out, job.missing, quiet=quiet or out.json_mode) as listener,
        ):
            run(job, listener, lambda _: None, workers=1)
    if out.json_mode:
        out.json(
            {
                "schema": "bcli.download-dataset/1",
                "name": dataset.name,
                "path": str(dataset.path),
                "source": found.source.name,
                "repository": dataset.repository,
                "revision": found.listing.revision,
                "bytes": job.total_bytes,
                "missing_bytes": job.missing_bytes,
                "sha256": files[0].sha256,
            }
        )
    else:
        out.text(str(dataset.path))
