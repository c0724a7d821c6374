"""The same container as a Compose file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from baichuan_cli.container.recipe import COMMON, Option, Recipe
from baichuan_cli.container.shell import build_arguments, image_name

_SERVICE = "baichuan"

#: Options of `docker run` that Compose takes as a single value, and as items of a list.
_SINGLE: Mapping[str, str] = {"ipc": "ipc", "network": "network_mode", "shm-size": "shm_size"}
_FLAGS: Mapping[str, str] = {"init": "init", "privileged": "privileged"}
_LISTS: Mapping[str, str] = {
    "device": "devices",
    "group-add": "group_add",
    "group-of": "group_add",
    "cap-add": "cap_add",
    "security-opt": "security_opt",
    "volume": "volumes",
    "env": "environment",
}


class _Line(NamedTuple):
    text: str
    because: str = ""


def compose_file(profile: str, title: str, recipe: Recipe, command: Sequence[str]) -> str:
    """Return a Compose file, with the reason for each part beside it.

    Args:
        profile: names the image.
        title: what the hardware is called.
        recipe: how the image is built and run.
        command: what bcli does in it, such as `serve demo`.
    """
    lines = [*_service(profile, recipe, command), _Line("volumes:"), _Line("  bcli:")]
    head = f"# {title}. In the folder of bcli's source: docker compose up --build"
    return "\n".join([head, *(f"{line.text}  # {line.because}" if line.because else line.text for line in lines)])


def _service(profile: str, recipe: Recipe, command: Sequence[str]) -> Iterator[_Line]:
    yield from (_Line("services:"), _Line(f"  {_SERVICE}:"), _Line("    build:"), _Line("      context: ."))
    yield _Line("      args:")
    for name, (value, because) in build_arguments(recipe).items():
        yield _Line(f"        {name}: {_quoted(value)}", because)
    yield _Line(f"    image: {_quoted(image_name(profile))}")
    yield _Line(f"    command: {json.dumps(list(command), ensure_ascii=False)}")
    yield _Line("    restart: unless-stopped")
    yield _Line("    stop_grace_period: 20s", "bcli stops vLLM within 9 s, by force if need be")
    lists: dict[str, list[_Line]] = {}
    for option in (*COMMON, *recipe.options):
        if option.option in _LISTS:
            lists.setdefault(_LISTS[option.option], []).append(_Line(f"      - {_item(option)}", option.because))
        else:
            yield from _alone(option)
    for key, items in lists.items():
        yield _Line(f"    {key}:")
        yield from items


def _alone(option: Option) -> Iterator[_Line]:
    if option.option in _FLAGS:
        yield _Line(f"    {_FLAGS[option.option]}: true", option.because)
    elif option.option in _SINGLE:
        yield _Line(f"    {_SINGLE[option.option]}: {_quoted(option.value)}", option.because)
    elif option.option == "ulimit":
        name, _, limits = option.value.partition("=")
        soft, _, hard = limits.partition(":")
        yield _Line(f"    ulimits: {{{name}: {{soft: {soft}, hard: {hard or soft}}}}}", option.because)
    else:
        count = "all" if option.value == "all" else int(option.value)
        devices = f"[{{driver: nvidia, count: {count}, capabilities: [gpu]}}]"
        yield _Line(f"    deploy: {{resources: {{reservations: {{devices: {devices}}}}}}}", option.because)


def _item(option: Option) -> str:
    if option.option == "device":
        return _quoted(f"{option.value}:{option.value}")
    if option.option == "group-of":
        # Compose runs no commands; it stops with this text where the variable is not set.
        return _quoted(f"${{{_group_variable(option.value)}:?set it to what stat -c %g {option.value} prints}}")
    return _quoted(option.value)


def _group_variable(path: str) -> str:
    return f"{path.rsplit('/', 1)[-1].upper()}_GROUP"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
