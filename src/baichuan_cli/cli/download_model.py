"""`bcli download` for a model: choose a source, tell what it takes, fetch, check, convert, repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.cli import download_report
from baichuan_cli.cli.download_progress import Silent, listening
from baichuan_cli.cli.download_report import Preview
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.cli.download_target import Target
    from baichuan_cli.cli.output import Output
    from baichuan_cli.hub.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for."""

    name: str
    source: str = "auto"
    revision: str | None = None
    profile: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    safetensors: bool = False
    patch: bool = True
    workers: int = 8

    @property
    def anywhere(self) -> bool:
        """Tell whether a copy that another program has downloaded does as well."""
        return self.source == "auto" and not (self.revision or self.include or self.exclude or self.safetensors)


def download_model(wanted: Wanted, out: Output, *, dry_run: bool, quiet: bool) -> None:
    """Download a model into the store, or only tell what that would take.

    Raises:
        BcliError: there is no such model, no source has it, the disk is too small, or files arrive damaged.
    """
    from baichuan_cli.cli.download_target import find_target
    from baichuan_cli.hub.store import default_store

    store = default_store()
    target = find_target(wanted.name, store)
    if wanted.anywhere and (folder := target.elsewhere(store)):
        download_report.show_elsewhere(target.name, folder, out, dry_run=dry_run, quiet=quiet)
    elif dry_run:
        download_report.show(_preview(wanted, target, store, out), out)
    else:
        with store.lock(target.store_name):
            _download(wanted, target, store, out, quiet=quiet or out.json_mode)


def _download(wanted: Wanted, target: Target, store: Store, out: Output, *, quiet: bool) -> None:
    from baichuan_cli.hub.bring import bring_model, convert_model
    from baichuan_cli.hub.download import require_space

    preview = _preview(wanted, target, store, out)
    job = preview.job
    if not quiet:
        download_report.say(preview, out)
    for refusal in preview.verdict.refusals:
        out.warning(refusal.message, hint=refusal.hint)
    require_space(job, preview.extra_bytes)
    name = job.folder.name
    with stopping(f"What has come so far is in {job.folder}.", "Run the same command again: it continues there."):
        with listening(out, job.missing, quiet=quiet) as listener:
            may_lack_files = bool(wanted.include or wanted.exclude) or not preview.whole
            manifest = bring_model(store, name, job, listener, workers=wanted.workers, may_lack_files=may_lack_files)
        if wanted.safetensors and manifest.state == "complete":
            with out.status("Converting the weights to safetensors …"):
                manifest = convert_model(store, name)
    patched = _patch_tokenizer(job.folder, out) if wanted.patch else ()
    if not quiet:
        out.note(download_report.closing(preview, manifest, patched))
    download_report.show_result(preview, manifest, patched, out)


def _preview(wanted: Wanted, target: Target, store: Store, out: Output) -> Preview:
    from baichuan_cli.catalog.catalogue import load_catalogue
    from baichuan_cli.cli.memory_verdict import judge
    from baichuan_cli.hub.bring import converted_files
    from baichuan_cli.hub.download import make_job
    from baichuan_cli.hub.remote_model import read_remote_model
    from baichuan_cli.hub.selection import select
    from baichuan_cli.hub.sources import first_answer, sources_of

    name = target.store_name
    manifest = store.read(name)
    if manifest is not None and manifest.folder is not None:
        raise BcliError(
            f"{name} is registered in {manifest.folder}; bcli does not write there.",
            hint=f"Forget that first: bcli models rm {name}",
        )
    with out.status("Asking for the list of files …"):
        by_hand = "Copy the model here by hand and give its folder: --source ./FOLDER"
        found = first_answer(sources_of(target.places, wanted.source), wanted.revision, by_hand)
    selection = select(found.listing, wanted.include, wanted.exclude)
    if target.entry:
        model = load_catalogue().model(target.entry)
    else:
        model = read_remote_model(name, found.source, found.listing, selection, Silent(out))
    converted = bool(converted_files(manifest, found.listing))
    if converted:
        selection = selection.without_bin()
    return Preview(
        name=name,
        job=make_job(found.source, found.listing, selection.files, store.folder(name), manifest),
        passed_over=found.passed_over,
        left=selection.left,
        whole=selection.has_weights or converted,
        extra_bytes=selection.bin_bytes if wanted.safetensors else 0,
        verdict=judge(model, wanted.profile),
    )


def _patch_tokenizer(folder: Path, out: Output) -> tuple[str, ...]:
    """Repair the tokenizer for other programs where it needs it; return what was done to which file."""
    from baichuan_cli.hub.patches import record_patches
    from baichuan_cli.tokenizer.code_repair import is_broken
    from baichuan_cli.tokenizer.modules_cache import find_copies, remove_copies
    from baichuan_cli.tokenizer.originals import apply_patch
    from baichuan_cli.tokenizer.patch import CODE, plan_patch

    patch = plan_patch(folder)
    apply_patch(patch)
    record_patches(folder)
    remove_copies(find_copies(folder, is_broken))
    if patch.unrecognised:
        out.warning(
            f"{CODE} was left alone: it {patch.unrecognised}.",
            hint="bcli never runs it. Other programs do; where they fail with it: "
            f"bcli patch-tokenizer {folder.name} --fast",
        )
    return tuple(f"{edit.name}: {edit.what}" for edit in patch.edits)
