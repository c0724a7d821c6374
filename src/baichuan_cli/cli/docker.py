"""`bcli docker`: how to run bcli in a container on this hardware or another."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.options import JsonOption, ProfileOption
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import chosen_profile
from baichuan_cli.errors import BcliError, ExitCode


def docker(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="What is served in it: a name, or a folder that is then mounted.",
            autocompletion=complete_model,
        ),
    ] = "demo",
    profile: ProfileOption = None,
    compose: Annotated[bool, typer.Option("--compose", help="Print a Compose file instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the commands that run a model in a container.

    They build an image and serve the model in it, with the reason for each part.

    bcli docker --profile k100

    bcli docker baichuan2-7b-chat --profile k100-ai > run.sh

    bcli docker --profile cuda --compose > compose.yaml

    It starts nothing, and needs no Docker. The image is built from bcli's own Dockerfile.
    """
    from baichuan_cli.container.compose import compose_file
    from baichuan_cli.container.shell import build_command, image_name, mounted, run_command, script
    from baichuan_cli.hardware.detect import detect
    from baichuan_cli.hardware.files import user_profiles_dir
    from baichuan_cli.hardware.load import load_profile

    out = Output(json_mode=as_json)
    loaded = load_profile(chosen_profile(profile) or detect().profile_name, user_dir=user_profiles_dir())
    if loaded.container is None:
        raise BcliError(
            f"The profile {loaded.name} says nothing about containers.",
            hint="Let it extend a shipped profile, or give it a section container: bcli profiles show cuda --source",
            exit_code=ExitCode.NOT_FOUND,
        )
    served, volumes = mounted(model)
    recipe = loaded.container.model_copy(update={"options": (*loaded.container.options, *volumes)})
    command = ("serve", served)
    title = f"bcli on {loaded.title}"
    if as_json:
        out.json(
            {
                "schema": "bcli.docker/1",
                "profile": loaded.name,
                "image": image_name(loaded.name),
                "build": " ".join(build_command(loaded.name, recipe)),
                "run": " ".join(run_command(loaded.name, recipe, command)),
                "compose": compose_file(loaded.name, title, recipe, command),
            }
        )
    elif compose:
        out.text(compose_file(loaded.name, title, recipe, command))
    else:
        out.text(script(loaded.name, title, recipe, command))
