"""The command tree: this module registers the commands, each of which lives in a module of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli import __version__
from baichuan_cli.cli import bench, models, profiles
from baichuan_cli.cli.chat.command import chat
from baichuan_cli.cli.docker import docker
from baichuan_cli.cli.doctor import doctor
from baichuan_cli.cli.download import download
from baichuan_cli.cli.generate import generate
from baichuan_cli.cli.group import RootGroup
from baichuan_cli.cli.patch_tokenizer import patch_tokenizer
from baichuan_cli.cli.serve import serve
from baichuan_cli.cli.web import web

app = typer.Typer(
    name="bcli",
    cls=RootGroup,
    help="Run the Baichuan language models on vLLM with the hardware you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bcli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Run the Baichuan language models on vLLM with the hardware you have."""


app.command()(generate)
app.command()(serve)
app.command()(web)
app.command()(chat)
app.command()(download)
app.add_typer(bench.app, name="bench")
app.add_typer(models.app, name="models")
app.add_typer(profiles.app, name="profiles")
app.command()(patch_tokenizer)
app.command()(docker)
app.command()(doctor)
