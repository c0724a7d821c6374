"""The models that are here, and the room for more."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, ok, warn
from baichuan_cli.errors import BcliError
from baichuan_cli.sizes import gigabytes


def store(facts: Facts) -> Iterator[Verdict]:
    """Judge each model of the store."""
    models = facts.store.models
    for model in models:
        try:
            model.require_usable()
        except BcliError as problem:
            yield warn("store", problem.message, problem.hint)
    usable = [model.name for model in models if model.usable]
    if usable or not models:
        yield ok("store", ", ".join(usable) or f"empty; the demo comes with bcli ({facts.store.root})")


def disk(facts: Facts) -> Iterator[Verdict]:
    """Judge whether a model more would find room."""
    space, root = facts.store.space, facts.store.root
    catalogue = load_catalogue()
    smallest = min(
        (catalogue.model(entry) for entry in catalogue.entries if not entry.not_loadable),
        key=lambda model: model.weight_bytes,
    )
    if not facts.store.writable:
        yield warn("disk", f"this user may not write to {root}", "export BCLI_HOME=/a/folder/of/yours")
    elif space is not None and space.free < smallest.weight_bytes:
        yield warn(
            "disk",
            f"{gigabytes(space.free)} free for models in {root}; even {smallest.name} takes"
            f" {gigabytes(smallest.weight_bytes)}",
            "Free some: bcli models rm NAME. Or use another disk: export BCLI_HOME=/a/folder/there",
        )
    elif space is not None:
        yield ok("disk", f"{gigabytes(space.free)} free for models in {root}")
