"""What `bcli download` says: what a download takes, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.sizes import gigabytes

if TYPE_CHECKING:
    from baichuan_cli.cli.memory_verdict import Verdict
    from baichuan_cli.cli.output import Output
    from baichuan_cli.hub.download import Job
    from baichuan_cli.hub.manifest import Manifest
    from baichuan_cli.hub.source import RemoteFile

_SHORT_COMMIT = 7
_SMALL = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Preview:
    """What a download takes, before a byte of it moves."""

    name: str
    job: Job
    passed_over: tuple[str, ...]  # sources, each with the reason
    left: tuple[RemoteFile, ...]
    whole: bool  # weights are among the files
    extra_bytes: int  # that a conversion writes beside the files
    verdict: Verdict

    @property
    def needed_bytes(self) -> int:
        """Return the bytes that will be written."""
        return self.job.missing_bytes + self.extra_bytes


def file_size(size: int | None) -> str:
    """Return the size of one file, which may be small or unknown."""
    if size is None:
        return "size unknown"
    return gigabytes(size) if size >= _SMALL else f"{size:,} bytes"


def show(preview: Preview, out: Output) -> None:
    """Show it as a result, every file by name."""
    if out.json_mode:
        out.json({"schema": "bcli.download-plan/1", **_facts(preview), "files": _files(preview)})
        return
    out.text(_headline(preview))
    for line in _lines(preview):
        out.text(line)
    for refusal in preview.verdict.refusals:
        out.warning(refusal.message, hint=refusal.hint)
    out.text("")
    out.table(
        ["file", "size", "here"],
        [
            [file.path, file_size(file.size), "yes" if file.path in preview.job.present else "–"]
            for file in preview.job.files
        ],
    )
    if preview.left:
        names = ", ".join(file.path for file in preview.left)
        out.text(f"left out: {names}")


def say(preview: Preview, out: Output) -> None:
    """Say it in three lines."""
    out.note(_headline(preview))
    for line in _lines(preview):
        out.note(line)


def show_elsewhere(name: str, folder: Path, out: Output, *, dry_run: bool, quiet: bool) -> None:
    """Show where a model lies that need not be downloaded."""
    if out.json_mode:
        schema = "bcli.download-plan/1" if dry_run else "bcli.download/1"
        out.json({"schema": schema, "model": name, "path": str(folder), "state": "elsewhere"})
        return
    if not quiet:
        out.note(f"{name} is on this machine already, and bcli uses it where it is: bcli generate --model {name}")
    out.text(str(folder))


def closing(preview: Preview, manifest: Manifest, patched: tuple[str, ...]) -> str:
    """Return the last line: what was checked and repaired, and what to do next."""
    count = len(manifest.files)
    came = preview.job.missing
    parts = [f"checked {_count(len(came))} ({_checks(came)})" if came else f"all {count} files were here"]
    if patched:
        parts.append(f"tokenizer patched for other programs ({'; '.join(patched)})")
    if manifest.state == "complete":
        parts.append(f"bcli generate --model {preview.name}")
    else:
        parts.append("not all of it is here, so it cannot be run yet")
    return " · ".join(parts)


def _count(files: int) -> str:
    return f"{files} {'file' if files == 1 else 'files'}"


def _checks(files: Sequence[RemoteFile]) -> str:
    """Return by what files were checked: a hub has git's SHA-1 for small ones, a plain folder no hash at all."""
    kinds = Counter(
        "sha256" if file.sha256 else "git sha1" if file.git_sha1 else "size and structure" for file in files
    )
    if len(kinds) == 1:
        return next(iter(kinds))
    return ", ".join(f"{count} by {kind}" for kind, count in kinds.most_common())


def show_result(preview: Preview, manifest: Manifest, patched: tuple[str, ...], out: Output) -> None:
    """Show the folder, or with `--json` everything that came."""
    if not out.json_mode:
        out.text(str(preview.job.folder))
        return
    files = [{"path": path, **record.model_dump()} for path, record in manifest.files.items()]
    out.json(
        {
            "schema": "bcli.download/1",
            "model": preview.name,
            "path": str(preview.job.folder),
            "state": manifest.state,
            "source": manifest.source,
            "repository": manifest.repository,
            "revision": manifest.revision,
            "bytes": manifest.expected_bytes(),
            "fetched_bytes": sum(file.size or 0 for file in preview.job.missing),
            "files": files,
            "patched": list(patched),
        }
    )


def _headline(preview: Preview) -> str:
    job = preview.job
    has_commit = job.listing.revision and job.source.name != "folder"
    at = f" @ {job.listing.revision[:_SHORT_COMMIT]}" if has_commit else ""
    passed_over = f" ({'; '.join(preview.passed_over)})" if preview.passed_over else ""
    size = f"{gigabytes(job.total_bytes)} in {_count(len(job.files))}"
    return f"{job.listing.repository}{at} · {size} · from {job.source.name}{passed_over}"


def _lines(preview: Preview) -> tuple[str, str]:
    job = preview.job
    here = job.total_bytes - job.missing_bytes
    already = f" ({gigabytes(here)} of it here)" if here else ""
    free = f"{gigabytes(job.free_bytes)} free in {job.folder.parent}"
    return f"disk    {file_size(preview.needed_bytes)} needed{already}, {free}", f"memory  {preview.verdict}"


def _facts(preview: Preview) -> dict[str, Any]:
    job, verdict = preview.job, preview.verdict
    return {
        "model": preview.name,
        "path": str(job.folder),
        "source": job.source.name,
        "passed_over": list(preview.passed_over),
        "repository": job.listing.repository,
        "revision": job.listing.revision,
        "bytes": job.total_bytes,
        "disk": {
            "needed_bytes": preview.needed_bytes,
            "free_bytes": job.free_bytes,
            "enough": preview.needed_bytes <= job.free_bytes,
        },
        "memory": {
            "profile": verdict.profile,
            "dtype": verdict.dtype,
            "cards": verdict.cards,
            "max_model_len": verdict.max_model_len,
            "weight_bytes": verdict.weight_bytes,
            "kv_bytes": verdict.kv_bytes,
            "fits": verdict.fits,
            "refusals": [{"message": refusal.message, "hint": refusal.hint} for refusal in verdict.refusals],
        },
    }


def _files(preview: Preview) -> list[dict[str, Any]]:
    return [
        {"path": file.path, "size": file.size, "sha256": file.sha256, "here": file.path in preview.job.present}
        for file in preview.job.files
    ]
