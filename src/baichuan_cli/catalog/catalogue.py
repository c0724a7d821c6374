"""The catalogue: every checkpoint that bcli knows by name, and the way from a name to its facts.

>>> load_catalogue().get("Baichuan2-7B-Chat").aliases
('baichuan2-7b-chat',)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.catalog.model import Architecture, Model, Quantization
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.names import is_repository
from baichuan_cli.similar import did_you_mean, similar

if TYPE_CHECKING:
    from baichuan_cli.catalog.schema import BundledEntry, Entry, Licence

_FILE = Path(__file__).with_name("models.yaml")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The entries of `models.yaml`, in its order."""

    entries: tuple[Entry, ...]
    bundled: tuple[BundledEntry, ...]
    architectures: Mapping[str, Architecture]
    titles: Mapping[str, str]  # what people call each architecture
    licences: Mapping[str, Licence]

    def names(self) -> tuple[str, ...]:
        """Return the name of every model, as commands take it."""
        return tuple(demo.name for demo in self.bundled) + tuple(entry.command_name for entry in self.entries)

    def find(self, name: str) -> Entry | BundledEntry | None:
        """Look a model up by name, alias or repository id, in any case."""
        wanted = name.lower()
        for demo in self.bundled:
            if wanted == demo.name:
                return demo
        for entry in self.entries:
            repositories = (entry.sources.huggingface, entry.sources.modelscope)
            if wanted in entry.aliases or wanted in (repository.lower() for repository in repositories if repository):
                return entry
        return None

    def get(self, name: str) -> Entry | BundledEntry:
        """Look a model up as `find` does.

        Raises:
            BcliError: there is no such model; the message offers the nearest names.
        """
        if entry := self.find(name):
            return entry
        repository = f"If it is a repository, fetch it first: bcli download {name}\n" if is_repository(name) else ""
        raise BcliError(
            f"There is no model {name!r}. {did_you_mean(self.nearest(name))}".rstrip(),
            hint=f"{repository}See all names with: bcli models list\n"
            "A folder of your own works too: give its path, such as ./NAME",
            exit_code=ExitCode.NOT_FOUND,
        )

    def nearest(self, name: str) -> list[str]:
        """Return up to three names that look like this one, likeliest first."""
        known = list(self.names()) + [alias for entry in self.entries for alias in entry.aliases[1:]]
        return similar(name.rpartition("/")[2], known)

    def model(self, entry: Entry) -> Model:
        """Return the facts about a checkpoint that is not on this machine."""
        quantization = entry.quantization
        return Model(
            name=entry.command_name,
            architecture=self.architectures[entry.architecture],
            weights_dtype=entry.weights.dtype,
            weight_format=entry.weights.format,
            weight_bytes=entry.weights.bytes,
            quantization=Quantization(**quantization.model_dump()) if quantization else None,
            chat_family=entry.chat_family,
            generation_defaults=dict(entry.generation_defaults),
            facts_from="catalogue",
            not_loadable=entry.not_loadable,
        )

    def title_of(self, architecture: Architecture) -> str | None:
        """Return what people call an architecture, or None where it is none of the four."""
        for key, known in self.architectures.items():
            if known == architecture:
                return self.titles[key]
        return None


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Read the catalogue that comes with bcli."""
    import yaml

    from baichuan_cli.catalog.schema import CatalogueFile

    content = CatalogueFile.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
    return Catalogue(
        entries=content.models,
        bundled=content.bundled,
        architectures={
            key: Architecture(**entry.model_dump(exclude={"title"})) for key, entry in content.architectures.items()
        },
        titles={key: entry.title for key, entry in content.architectures.items()},
        licences=content.licences,
    )
