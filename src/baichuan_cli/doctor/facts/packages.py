"""The packages of this Python environment: versions, what each asks of the others, and plugins, all from metadata."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass

from baichuan_cli.doctor.surroundings import Surroundings

#: Groups of entry points that vLLM loads: models and the like, and whole platforms such as the vendor's.
PLUGIN_GROUPS = ("vllm.general_plugins", "vllm.platform_plugins")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point that vLLM will load."""

    group: str
    name: str
    value: str  # "baichuan_cli.vllm_plugin:register"
    package: str  # the distribution that brings it


@dataclass(frozen=True, slots=True)
class Package:
    """An installed distribution."""

    name: str  # in lower case with dashes
    version: str
    folder: str  # that it lies in
    requires: tuple[str, ...]  # as its metadata says it


@dataclass(frozen=True, slots=True)
class Packages:
    """What is installed. Python takes the first of several copies; the others are `hidden`."""

    found: Mapping[str, Package]
    hidden: tuple[Package, ...]
    plugins: tuple[Plugin, ...]

    def version(self, name: str) -> str:
        """Return a package's version; empty where it is not installed."""
        package = self.found.get(name)
        return package.version if package else ""


def look_at_packages(surroundings: Surroundings) -> Packages:
    """Read the metadata of everything on Python's path."""
    found: dict[str, Package] = {}
    hidden: list[Package] = []
    plugins: list[Plugin] = []
    for distribution in importlib.metadata.distributions(path=list(surroundings.search_path)):
        metadata = distribution.metadata
        if not (metadata and metadata["Name"] and metadata["Version"]):  # the rest of what pip could not remove
            continue
        name = normalized(metadata["Name"])
        package = Package(
            name, metadata["Version"], str(distribution.locate_file("")), tuple(distribution.requires or ())
        )
        if name in found:
            hidden += [package] if package.folder != found[name].folder else []
            continue
        found[name] = package
        plugins += [
            Plugin(entry.group, entry.name, entry.value, name)
            for entry in distribution.entry_points
            if entry.group in PLUGIN_GROUPS
        ]
    return Packages(found, tuple(hidden), tuple(plugins))


def normalized(name: str) -> str:
    """Return a distribution's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
