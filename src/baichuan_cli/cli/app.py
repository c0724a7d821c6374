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
from baichuan_cli.cli.help import Command
from baichuan_cli.cli.patch_tokenizer import patch_tokenizer
from baichuan_cli.cli.serve import serve
from baichuan_cli.cli.web import web

_ANSWERS, _MODELS, _MACHINE = "Ask a model", "Models", "This machine"

app = typer.Typer(
    name="bcli",
    cls=RootGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # errors are plain lines too
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
    """Run the Baichuan language models on vLLM with the hardware you have.

    bcli generate 床前明月光

    bcli download baichuan2-7b-chat

    bcli chat baichuan2-7b-chat

    Where no model is named, the small demo that comes with bcli answers.
    """


for command in (generate, chat, serve, web):
    app.command(cls=Command, rich_help_panel=_ANSWERS)(command)
app.command(cls=Command, rich_help_panel=_MODELS)(download)
app.add_typer(models.app, name="models", rich_help_panel=_MODELS)
app.command(cls=Command, rich_help_panel=_MODELS)(patch_tokenizer)
app.command(cls=Command, rich_help_panel=_MACHINE)(doctor)
app.add_typer(profiles.app, name="profiles", rich_help_panel=_MACHINE)
app.command(cls=Command, rich_help_panel=_MACHINE)(docker)
app.add_typer(bench.app, name="bench", rich_help_panel=_MACHINE, short_help="Measure throughput, latency, a server.")
