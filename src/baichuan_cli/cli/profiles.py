"""`bcli profiles`: which kinds of hardware bcli knows, what it wants of each, and which one this machine is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli.completion import complete_profile
from baichuan_cli.cli.help import Command, Group
from baichuan_cli.cli.options import JsonOption
from baichuan_cli.cli.output import Output
from baichuan_cli.hardware.files import user_profiles_dir
from baichuan_cli.sizes import gibibytes

if TYPE_CHECKING:
    from baichuan_cli.hardware.files import ProfileFile
    from baichuan_cli.hardware.machine import Machine

app = typer.Typer(
    cls=Group,
    name="profiles",
    help="Show what bcli knows about each card, and which one is here.",
    no_args_is_help=True,
)


NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A profile's name, or a YAML file.", autocompletion=complete_profile)
]


@app.command("list", cls=Command)
def list_command(as_json: JsonOption = False) -> None:
    """List the profiles that come with bcli, and your own."""
    from baichuan_cli.hardware.load import list_profiles

    out = Output(json_mode=as_json)
    entries = list_profiles(user_profiles_dir())
    if as_json:
        profiles = [
            {"name": entry.file.name, "title": entry.title, "problem": entry.problem, **_file_json(entry.file)}
            for entry in entries
        ]
        out.json({"schema": "bcli.profiles/1", "profiles": profiles})
        return
    out.table(
        ("name", "title", "from"),
        [(entry.file.name, entry.title or "cannot be used", _origin(entry.file)) for entry in entries],
    )
    for entry in entries:
        if entry.problem:
            out.warning(entry.problem)
    out.note(f"Your own profiles go to {user_profiles_dir()}")


@app.command("show", cls=Command)
def show_command(
    name: NameArgument,
    source: Annotated[
        bool, typer.Option("--source", help="Print the file itself: the evidence for each value is in its comments.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a profile says, with what it extends, and why."""
    from baichuan_cli.hardware.describe import hardware_facts, preference_rows
    from baichuan_cli.hardware.load import ancestors, find_profile, load_file

    out = Output(json_mode=as_json)
    file = find_profile(name, user_dir=user_profiles_dir())
    profile = load_file(file, user_dir=user_profiles_dir())
    parents = ancestors(file, user_dir=user_profiles_dir())
    if source:
        out.text(file.path.read_text(encoding="utf-8"), end="")
        return
    if as_json:
        names = [parent.name for parent in parents]
        facts = {**_file_json(file), "extends": names, "profile": profile.model_dump(mode="json")}
        out.json({"schema": "bcli.profile/1", **facts})
        return
    head = [("profile", f"{profile.name} · {profile.title}"), ("file", f"{file.path} ({_origin(file)})")]
    if parents:
        head.append(("extends", ", ".join(parent.name for parent in parents)))
    notes = [("note", note) for note in profile.notes]
    out.facts([*head, *hardware_facts(profile), *notes])
    if rows := preference_rows(profile):
        out.text("")
        out.table(("setting", "value", "when", "because"), rows)
    out.note(f"The evidence for each value: bcli profiles show {name} --source")


@app.command("validate", cls=Command)
def validate_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile of your own.")], as_json: JsonOption = False
) -> None:
    """Check a profile file, with what it extends."""
    from baichuan_cli.hardware.files import ProfileFile
    from baichuan_cli.hardware.load import load_file

    out = Output(json_mode=as_json)
    profile = load_file(ProfileFile(file.stem, file, "file"), user_dir=user_profiles_dir())
    if as_json:
        out.json({"schema": "bcli.profile-check/1", "valid": True, "name": profile.name, "path": str(file)})
    else:
        out.text(f"{file} is a valid profile: {profile.name} · {profile.title}")


@app.command("detect", cls=Command)
def detect_command(as_json: JsonOption = False) -> None:
    """Look at this machine, show each step and what it saw, and name the profile that fits."""
    from baichuan_cli.hardware.detect import detect

    out = Output(json_mode=as_json)
    found = detect()
    if as_json:
        out.json(
            {
                "schema": "bcli.detection/1",
                "profile": found.profile_name,
                "reason": found.reason,
                "steps": [{"looked_at": step.looked_at, "saw": step.saw} for step in found.steps],
                "machine": _machine_json(found.machine),
            }
        )
        return
    out.table(("looked at", "saw"), [(step.looked_at, step.saw) for step in found.steps])
    out.text("")
    machine = found.machine
    nodes = f", {machine.numa_nodes} NUMA nodes" if machine.numa_nodes > 1 else ""
    out.facts(
        [
            ("host", f"{machine.cpu_cores} cores, {gibibytes(machine.host_memory_bytes)}{nodes}"),
            ("profile", found.profile_name),
            ("because", found.reason),
        ]
    )


def _origin(file: ProfileFile) -> str:
    if file.shadows:
        return "yours, hides the shipped one"
    return {"shipped": "shipped with bcli", "yours": "yours", "file": "a file"}[file.origin]


def _file_json(file: ProfileFile) -> dict[str, object]:
    return {"path": str(file.path), "from": file.origin, "hides_shipped": file.shadows}


def _machine_json(machine: Machine) -> dict[str, object]:
    return {
        "devices": [
            {"name": device.name, "architecture": device.architecture, "memory_bytes": device.memory_bytes}
            for device in machine.devices
        ],
        "host_memory_bytes": machine.host_memory_bytes,
        "cpu_cores": machine.cpu_cores,
        "cpu_flags": sorted(machine.cpu_flags),
        "numa_nodes": machine.numa_nodes,
    }
