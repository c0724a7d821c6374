"""The commands that build an image and run it, for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from baichuan_cli.container.recipe import COMMON, Option, Recipe
from baichuan_cli.paths import expand_home

NAME = "bcli"


def image_name(profile: str) -> str:
    """Return what the image of a profile is called."""
    return f"bcli:{profile}"


def build_arguments(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """Return the build arguments of the Dockerfile by name, each with its reason."""
    arguments = {"BASE": (recipe.base.value, recipe.base.because)}
    if recipe.extra:
        arguments["EXTRA"] = (recipe.extra.value, recipe.extra.because)
    return {**arguments, "RUN_AS": (recipe.user.value, recipe.user.because)}


def build_command(profile: str, recipe: Recipe) -> list[str]:
    """Return `docker build`, one part a line; it runs in the folder of bcli's source."""
    arguments = [f"--build-arg {name}={shlex.quote(value)}" for name, (value, _) in build_arguments(recipe).items()]
    return [f"docker build --tag {image_name(profile)}", *arguments, "."]


def mounted(model: str) -> tuple[str, tuple[Option, ...]]:
    """Return what a model is called inside the container, and the option that brings a folder of the host in."""
    folder = expand_home(model)
    if not (folder / "config.json").exists():
        return model, ()
    inside = f"/models/{folder.resolve().name}"
    because = "your own folder, which the container cannot change"
    return inside, (Option(option="volume", value=f"{folder.resolve()}:{inside}:ro", because=because),)


def run_command(profile: str, recipe: Recipe, command: Sequence[str]) -> list[str]:
    """Return `docker run`, one part a line.

    Args:
        profile: names the image.
        recipe: how it is run.
        command: what bcli does in it, such as `serve demo`.
    """
    options = [_flag(option) for option in (*COMMON, *recipe.options)]
    head = f"docker run --rm --interactive --tty --name {NAME}"
    return [head, *options, shlex.join([image_name(profile), *command])]


def script(profile: str, title: str, recipe: Recipe, command: Sequence[str]) -> str:
    """Return both commands as a shell script that gives the reason for each part above them."""
    build = [f"# {name}: {because}" for name, (_, because) in build_arguments(recipe).items()]
    run = [f"# {_flag(option)}: {option.because}" for option in (*COMMON, *recipe.options)]
    return "\n".join(
        [
            f"# {title}. In the folder of bcli's source; build once, run as often as you like.",
            "",
            *build,
            " \\\n    ".join(build_command(profile, recipe)),
            "",
            *run,
            " \\\n    ".join(run_command(profile, recipe, command)),
        ]
    )


def _flag(option: Option) -> str:
    if option.option == "group-of":
        return f'--group-add="$(stat -c %g {shlex.quote(option.value)})"'
    return f"--{option.option}" + (f"={shlex.quote(option.value)}" if option.value else "")
