"""The local store of models, and the disk that it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.doctor.surroundings import Space, Surroundings
from baichuan_cli.hub.inventory import take_inventory
from baichuan_cli.hub.store import Store
from baichuan_cli.hub.stored import StoredModel


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store as it is found; `models` also has those of the Hugging Face cache."""

    root: Path
    models: tuple[StoredModel, ...]
    space: Space | None  # where a download would be written
    writable: bool


def look_at_store(surroundings: Surroundings, store: Store) -> StoreFacts:
    """Look at the store; nothing is created."""
    there = next(folder for folder in (store.root, *store.root.absolute().parents) if folder.is_dir())
    return StoreFacts(
        root=store.root,
        models=tuple(take_inventory(store)),
        space=surroundings.space(there),
        writable=surroundings.may_write(there),
    )
