"""`bcli models ls`, `rm`, `verify`, `path` and `add`: what is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli.completion import complete_model, complete_stored
from baichuan_cli.cli.options import JsonOption
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.sizes import gigabytes

if TYPE_CHECKING:
    from baichuan_cli.hub.stored import StoredModel
    from baichuan_cli.hub.verify import Verification

StoredArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A name of `bcli models ls`.", autocompletion=complete_stored)
]
LocalArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A name, or a folder.", autocompletion=complete_model)
]


def ls(as_json: JsonOption = False) -> None:
    """List the models on this machine: downloaded, registered, and in the Hugging Face cache."""
    from baichuan_cli.hub.inventory import format_of, take_inventory
    from baichuan_cli.hub.store import default_store, size_on_disk

    out = Output(json_mode=as_json)
    models = take_inventory(default_store())
    if as_json:
        out.json({"schema": "bcli.store/1", "models": [_model_json(model) for model in models]})
        return
    if not models:
        out.note("No models here yet. See what there is: bcli models list\nGet one: bcli download NAME")
        return
    out.table(
        ["name", "size", "format", "source", "state"],
        [
            [
                model.name,
                gigabytes(size_on_disk(model.path)),
                format_of(model.path) or "–",
                model.source,
                model.state,
            ]
            for model in models
        ],
    )
    for model in models:
        if model.problem:
            out.warning(model.problem.message, hint=model.problem.hint)


def rm(
    name: StoredArgument,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a downloaded model from the disk, or forget a registered one."""
    from baichuan_cli.hub.inventory import require_in_store
    from baichuan_cli.hub.store import default_store, size_on_disk

    out = Output()
    store = default_store()
    store.empty_trash()
    model = require_in_store(store, name)
    if model.elsewhere:
        what = f"{model.name} is forgotten; its files are still in {model.path.resolve()}"
        out.note(f"{model.name} lies in {model.path.resolve()}. Only its name is forgotten; its files stay.")
        question = f"Forget {model.name}?"
    else:
        size = gigabytes(size_on_disk(model.path))
        what = f"{model.name} is removed: {size}"
        out.note(f"{model.name} · {size} · {model.path}")
        question = f"Remove {model.name}?"
    if not yes and not out.confirm(question, flag=f"bcli models rm {name} -y"):
        out.note("Nothing was removed.")
        return
    store.remove(model.name)
    out.text(what)


def verify(name: LocalArgument, as_json: JsonOption = False) -> None:
    """Compare a model's files with what was downloaded, and check that it is whole."""
    from baichuan_cli.catalog.find_folder import find_folder
    from baichuan_cli.hub.stored import inspect_folder
    from baichuan_cli.hub.verify import verify as verify_folder

    out = Output(json_mode=as_json)
    folder = find_folder(name)
    manifest = inspect_folder(folder).manifest
    expected = manifest.expected() if manifest else {}
    with out.byte_progress() as progress:
        total = sum(record.size for record in expected.values() if record.sha256)
        task = progress.add_task(name, total=total)
        result = verify_folder(folder, expected, lambda count: progress.advance(task, count))
    if as_json:
        out.json(_verification_json(name, folder, result))
    else:
        _say(out, name, result)
    if not result.passed:
        if manifest is None:
            hint = f"What to do about it: bcli models inspect {name}"
        elif _forget(folder, {*result.missing, *result.changed}):
            hint = f"Fetch again what is wrong: bcli download {manifest.name}"
        else:
            hint = f"Copy the folder again, or get the model here: bcli download {manifest.name}"
        raise BcliError(f"{name} is not as it should be: {_summary(result)}.", hint=hint, exit_code=ExitCode.INVALID)


def _forget(folder: Path, wrong: set[str]) -> bool:
    """Take wrong files out of a stored model's record, so that it is not offered and the next download brings them.

    Returns whether the folder is one of the store; a copy elsewhere has a record as well, which is left alone.
    """
    from baichuan_cli.hub.store import default_store

    store, place = default_store(), folder.absolute()
    if place.parent.resolve() != store.root.resolve():
        return False
    with store.lock(place.name):
        manifest = store.read(place.name)  # another process may have changed it while the files were read
        if manifest and wrong & set(manifest.files):
            files = {path: record for path, record in manifest.files.items() if path not in wrong}
            store.write(manifest.model_copy(update={"state": "partial", "files": files}))
    return True


def path(name: LocalArgument) -> None:
    """Print the folder of a model, for other programs."""
    from baichuan_cli.catalog.find_folder import find_folder
    from baichuan_cli.hub.stored import inspect_folder

    Output().text(str(inspect_folder(find_folder(name)).require_usable()))


def add(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with a checkpoint.")],
    name: Annotated[str | None, typer.Option("--name", help="What to call it. Default: the folder's name.")] = None,
) -> None:
    """Give a folder that lies elsewhere a name; nothing is copied."""
    from baichuan_cli.hub.registration import register
    from baichuan_cli.hub.store import default_store

    manifest = register(default_store(), folder, name)
    out = Output()
    out.text(f"{manifest.name} is {manifest.folder}")
    out.note(f"Use it by name: bcli generate --model {manifest.name}")


def _say(out: Output, name: str, result: Verification) -> None:
    for path in result.missing:
        out.text(f"missing  {path}")
    for path, how in result.changed.items():
        out.text(f"changed  {path}: {how}")
    for path in result.extra:
        out.text(f"extra    {path}")
    if result.unsound:
        out.text(f"unsound  {result.unsound}")
    if result.passed:
        out.text(f"{name} is whole: {_counted(result)}.")


def _counted(result: Verification) -> str:
    if not (result.hashed or result.sized):
        return "no record says what its files should be, so only their structure was checked"
    by_size = f", {result.sized} by size" if result.sized else ""
    return f"{result.hashed} files checked by SHA-256{by_size}"


def _summary(result: Verification) -> str:
    counts = ((len(result.missing), "missing"), (len(result.changed), "changed"))
    parts = [f"{count} {'file' if count == 1 else 'files'} {what}" for count, what in counts if count]
    return ", ".join(parts) or "it cannot be loaded"


def _model_json(model: StoredModel) -> dict[str, object]:
    from baichuan_cli.hub.inventory import format_of
    from baichuan_cli.hub.store import size_on_disk

    return {
        "name": model.name,
        "path": str(model.path),
        "bytes": size_on_disk(model.path),
        "format": format_of(model.path) or None,
        "source": model.source,
        "repository": (model.manifest and model.manifest.repository) or None,
        "revision": (model.manifest and model.manifest.revision) or None,
        "state": model.state,
        "problem": model.problem.message if model.problem else None,
    }


def _verification_json(name: str, folder: Path, result: Verification) -> dict[str, object]:
    return {
        "schema": "bcli.verification/1",
        "name": name,
        "path": str(folder),
        "passed": result.passed,
        "by_sha256": result.hashed,
        "by_size": result.sized,
        "missing": list(result.missing),
        "changed": dict(result.changed),
        "extra": list(result.extra),
        "unsound": result.unsound or None,
    }
