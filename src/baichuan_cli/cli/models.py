"""`bcli models`: what bcli knows by name, and what a folder holds; `cli.store` adds what is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli import store
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.help import Command, Group
from baichuan_cli.cli.options import JsonOption
from baichuan_cli.cli.output import Output
from baichuan_cli.sizes import gigabytes

if TYPE_CHECKING:
    from baichuan_cli.catalog.catalogue import Catalogue
    from baichuan_cli.catalog.model import Model
    from baichuan_cli.catalog.schema import BundledEntry, Entry

app = typer.Typer(cls=Group, help="List, show, check and remove models.", no_args_is_help=True)


@app.command("list", cls=Command)
def list_models(as_json: JsonOption = False) -> None:
    """List the models that bcli knows by name."""
    from baichuan_cli.catalog.catalogue import load_catalogue
    from baichuan_cli.catalog.resolve import local_folder
    from baichuan_cli.cli import model_facts

    out = Output(json_mode=as_json)
    catalogue = load_catalogue()
    bundled = tuple(demo for demo in catalogue.bundled if local_folder(demo))
    listed = [_look_up(catalogue, entry) for entry in bundled + catalogue.entries]
    if as_json:
        models = [model_facts.as_json(model, folder) for model, folder in listed]
        out.json({"schema": "bcli.models/1", "models": models})
        return
    out.table(
        ["name", "size", "format", "chat", "here"],
        [
            [
                model.name,
                gigabytes(model.weight_bytes),
                model_facts.format_text(model),
                model.chat_family or "–",
                "yes" if folder else "–",
            ]
            for model, folder in listed
        ],
    )
    out.note("More about one: bcli models show NAME\nGet one: bcli download NAME")


@app.command(cls=Command)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name of `bcli models list`.", autocompletion=complete_model)
    ],
    as_json: JsonOption = False,
) -> None:
    """Show one model: its shape, its memory, its sources and its licence."""
    from baichuan_cli.catalog.catalogue import load_catalogue
    from baichuan_cli.catalog.schema import BundledEntry
    from baichuan_cli.cli import model_facts

    out = Output(json_mode=as_json)
    catalogue = load_catalogue()
    entry = catalogue.get(name)
    model, folder = _look_up(catalogue, entry)
    if as_json:
        facts = model_facts.as_json(model, folder)
        out.json({"schema": "bcli.model/1", **facts, "entry": entry.model_dump(mode="json")})
        return
    if isinstance(entry, BundledEntry):
        title, published = entry.title, []
    else:
        title, published = catalogue.titles[entry.architecture], _published(catalogue, entry)
    out.facts(
        [
            ("name", entry.name),
            *model_facts.rows(model, title),
            ("here", str(folder) if folder else "no"),
            *published,
            *_column("notes", entry.notes),
        ]
    )


@app.command(cls=Command)
def inspect(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH_OR_NAME", help="A folder with config.json and weights, or a model that is here."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Read a local folder's own files: what it is, what is odd about it, and what it needs."""
    from baichuan_cli.catalog.checkpoint import read_checkpoint
    from baichuan_cli.catalog.find_folder import find_folder
    from baichuan_cli.cli import model_facts

    out = Output(json_mode=as_json)
    checkpoint = read_checkpoint(find_folder(path))
    files = [file.name for file in checkpoint.weights.paths]
    if as_json:
        out.json(
            {
                "schema": "bcli.inspection/1",
                **model_facts.as_json(checkpoint.model, checkpoint.model.path),
                "shape_of": checkpoint.title,
                "files": files,
                "oddities": [asdict(oddity) for oddity in checkpoint.oddities],
            }
        )
        return
    out.facts(
        [
            ("name", checkpoint.model.name),
            *model_facts.rows(checkpoint.model, checkpoint.title or "a shape of its own"),
            ("files", f"{len(files)} of weights, whole" if len(files) > 1 else f"{files[0]}, whole"),
        ]
    )
    for oddity in checkpoint.oddities:
        out.text(f"\n{oddity.severity}: {oddity.text}\n  {oddity.what_to_do}")


for command in (store.ls, store.path, store.add, store.verify, store.rm):
    app.command(cls=Command)(command)


def _look_up(catalogue: Catalogue, entry: Entry | BundledEntry) -> tuple[Model, Path | None]:
    """Return a model's facts and where it lies; of a published model no file is opened."""
    from baichuan_cli.catalog.resolve import local_folder, model_of
    from baichuan_cli.catalog.schema import BundledEntry

    model = model_of(entry) if isinstance(entry, BundledEntry) else catalogue.model(entry)
    return model, local_folder(entry)


def _published(catalogue: Catalogue, entry: Entry) -> list[tuple[str, str]]:
    licence = catalogue.licences[entry.licence]
    return [
        *_column("also called", [", ".join(entry.aliases[1:])]),
        *_column("instead", [" or ".join(entry.instead)]),
        *_column("get it", list(entry.sources.urls().values())),
        *_column("licence", [licence.name, licence.notes]),
        *_column("not sure", [", ".join(path.replace(".", " ") for path in entry.unverified)]),
    ]


def _column(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Return one row for each value, with the name beside the first one only."""
    filled = [value for value in values if value]
    return [(name if position == 0 else "", value) for position, value in enumerate(filled)]
