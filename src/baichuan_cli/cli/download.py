"""`bcli download`: from a name to a model that is on this machine, whole and checked."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.completion import complete_download
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError

_FILES = "Files"


def download(
    name: Annotated[
        str,
        typer.Argument(
            help="A name of `bcli models list`, a repository such as org/name, or sharegpt, the benchmark's data set.",
            autocompletion=complete_download,
        ),
    ],
    source: Annotated[
        str,
        typer.Option("--source", help="auto, huggingface, hf-mirror, modelscope, aimodels, or a folder."),
    ] = "auto",
    revision: Annotated[
        str | None, typer.Option("--revision", help="A branch, tag or commit. Default: the main branch.")
    ] = None,
    profile: options.ProfileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files, disk and memory; download nothing.")] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Only these files, beside tokenizer and configuration; repeatable.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Not these files; repeatable.", rich_help_panel=_FILES),
    ] = None,
    safetensors: Annotated[
        bool,
        typer.Option("--safetensors", help="Convert .bin weights to safetensors afterwards.", rich_help_panel=_FILES),
    ] = False,
    patch: Annotated[
        bool,
        typer.Option(
            "--patch/--no-patch",
            help="Repair the tokenizer files for other programs, as bcli patch-tokenizer does.",
            rich_help_panel=_FILES,
        ),
    ] = True,
    workers: Annotated[
        int, typer.Option("--max-workers", min=1, max=64, help="Files at a time.", rich_help_panel=_FILES)
    ] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the folder, and beside it warnings only.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Download a model and check every file.

    What it takes on disk and in memory is said first. After any interruption run the same command again.

    bcli download baichuan2-7b-chat

    bcli download baichuan2-13b-chat --source modelscope --profile z100l --dry-run
    """
    from baichuan_cli.cli.download_dataset import download_dataset
    from baichuan_cli.cli.download_model import Wanted, download_model
    from baichuan_cli.hub.datasets import DATASETS

    out = Output(json_mode=as_json)
    given = {"--source": (source,), "--revision": (revision,), "--include": include, "--exclude": exclude}
    for option, values in given.items():
        if "" in (values or ()):
            raise BcliError(f"{option} is empty.", hint="Give a value, or leave the option out.")
    if dataset := DATASETS.get(name.lower()):
        download_dataset(dataset, out, source=source, revision=revision, dry_run=dry_run, quiet=quiet)
        return
    wanted = Wanted(
        name,
        source=source,
        revision=revision,
        profile=profile,
        include=include or (),
        exclude=exclude or (),
        safetensors=safetensors,
        patch=patch,
        workers=workers,
    )
    download_model(wanted, out, dry_run=dry_run, quiet=quiet)
