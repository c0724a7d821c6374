"""`bcli patch-tokenizer`: make a checkpoint's tokenizer load in other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.options import JsonOption
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.patch import Patch
    from baichuan_cli.tokenizer.proof import Proof

_NEEDS_PATCHING = 1  # what --check exits with, as formatters and linters do
_SCHEMA = "bcli.patch-tokenizer/1"


def patch_tokenizer(
    model: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_NAME", help="A checkpoint's folder, or a name.", autocompletion=complete_model
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if there is something to patch.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
    revert: Annotated[bool, typer.Option("--revert", help="Put the original files back.")] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Also write a tokenizer.json that transformers and vLLM load without remote code."
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Load the result with transformers and compare it. Without --fast this runs the checkpoint's code.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Repair a checkpoint's tokenizer for other programs.

    transformers from 4.34 on stops with the original files. bcli itself builds the tokenizer from tokenizer.model.

    bcli patch-tokenizer ./Baichuan2-13B-Chat --check

    bcli patch-tokenizer ./Baichuan2-13B-Chat
    """
    from baichuan_cli.catalog.find_folder import find_folder
    from baichuan_cli.tokenizer.code_repair import is_broken
    from baichuan_cli.tokenizer.modules_cache import find_copies
    from baichuan_cli.tokenizer.patch import plan_patch

    if revert and (check or diff or fast):
        raise BcliError("--revert cannot be combined with --check, --diff or --fast.")
    out = Output(json_mode=as_json)
    folder = find_folder(model)
    if revert:
        _revert(out, folder)
        return
    patch = plan_patch(folder, fast=fast)
    stale = find_copies(folder, is_broken)
    if check or diff:
        _show(out, patch, stale, diff=diff)
        if check and (patch.edits or stale):
            raise typer.Exit(_NEEDS_PATCHING)
    else:
        _apply(out, patch, stale, fast=fast, verify=verify)
    if patch.unrecognised and not fast:
        raise BcliError(
            f"tokenization_baichuan.py was left alone: it {patch.unrecognised}.",
            hint="Read it before a program runs it. bcli never does; --fast makes it unnecessary for others.",
            exit_code=ExitCode.INVALID,
        )


def _show(out: Output, patch: Patch, stale: Sequence[Path], *, diff: bool) -> None:
    from baichuan_cli.tokenizer.diff import unified_diff

    if out.json_mode:
        diffs = {edit.name: unified_diff(edit) for edit in patch.edits} if diff else {}
        _report(out, patch, stale, written=False, diffs=diffs)
    elif diff:
        for edit in patch.edits:
            out.text(unified_diff(edit), end="")
    else:
        _say(out, patch, [("stale copy", str(path)) for path in stale])


def _apply(out: Output, patch: Patch, stale: Sequence[Path], *, fast: bool, verify: bool) -> None:
    from baichuan_cli.hub.patches import record_patches
    from baichuan_cli.tokenizer.modules_cache import remove_copies
    from baichuan_cli.tokenizer.originals import apply_patch

    apply_patch(patch)
    record_patches(patch.folder)
    remove_copies(stale)
    if not out.json_mode:
        _say(out, patch, [("stale copy removed", str(path)) for path in stale])
    proof = _prove(out, patch.folder, fast=fast) if verify and _is_testable(patch, fast=fast) else None
    if out.json_mode:
        _report(out, patch, stale, written=True, proof=proof)
    elif proof:
        out.text(
            f"transformers {proof.transformers} loads it as {proof.class_name}; "
            f"the ids of {proof.texts} texts are SentencePiece's"
            + (", and so are those of the exact fast tokenizer." if proof.fast and not fast else ".")
        )
    if patch.edits:
        out.note(f"Undo it with: bcli patch-tokenizer {patch.folder} --revert")


def _is_testable(patch: Patch, *, fast: bool) -> bool:
    from baichuan_cli.tokenizer.patch import CODE

    return bool(patch.edits) and (fast or ((patch.folder / CODE).exists() and not patch.unrecognised))


def _prove(out: Output, folder: Path, *, fast: bool) -> Proof | None:
    from baichuan_cli.tokenizer.proof import missing_packages, prove

    if missing := missing_packages():
        out.warning(f"Not tested: {' and '.join(missing)} cannot be imported here.")
        return None
    if fast:
        out.note("Testing it with transformers, without remote code.")
    else:
        out.note("Testing it with transformers. This runs the checkpoint's own Python code; --no-verify skips it.")
    with out.status("Loading the tokenizer …"):
        return prove(folder, fast=fast)


def _revert(out: Output, folder: Path) -> None:
    from baichuan_cli.hub.patches import record_patches
    from baichuan_cli.tokenizer.modules_cache import find_copies, remove_copies
    from baichuan_cli.tokenizer.originals import revert_patch, sha256_of

    reverted = revert_patch(folder)
    record_patches(folder)
    stale = find_copies(folder, lambda content: sha256_of(content) in reverted.written)
    remove_copies(stale)
    if out.json_mode:
        out.json(
            {
                "schema": _SCHEMA,
                "folder": str(folder),
                "restored": list(reverted.restored),
                "changed_since": list(reverted.changed_since),
                "stale_copies": [str(path) for path in stale],
            }
        )
    elif reverted.restored:
        rows = [(name, "as it was" if (folder / name).exists() else "removed") for name in reverted.restored]
        out.facts(rows + [("stale copy removed", str(path)) for path in stale])
    elif not reverted.changed_since:
        out.text("Nothing to revert.")
    if reverted.changed_since:
        raise BcliError(
            f"Left alone, because something changed it after bcli: {', '.join(reverted.changed_since)}.",
            hint=f"The originals are in {folder / '.bcli' / 'originals'}.",
            exit_code=ExitCode.INVALID,
        )


def _say(out: Output, patch: Patch, others: list[tuple[str, str]]) -> None:
    rows = [(edit.name, edit.what) for edit in patch.edits] + others
    if rows:
        out.facts(rows)
    elif not patch.unrecognised:
        out.text("Nothing to patch.")


def _report(
    out: Output,
    patch: Patch,
    stale: Sequence[Path],
    *,
    written: bool,
    diffs: dict[str, str] | None = None,
    proof: Proof | None = None,
) -> None:
    out.json(
        {
            "schema": _SCHEMA,
            "folder": str(patch.folder),
            "written": written,
            "changes": [
                {"file": edit.name, "what": edit.what} | ({"diff": diffs[edit.name]} if diffs else {})
                for edit in patch.edits
            ],
            "stale_copies": [str(path) for path in stale],
            "unrecognised": patch.unrecognised or None,
            "proof": asdict(proof) if proof else None,
        }
    )
