"""Which sources a model can come from, and taking the first that has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from baichuan_cli.catalog.schema import Entry
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.folder import Folder
from baichuan_cli.hub.git_server import GitServer
from baichuan_cli.hub.hugging_face import MIRROR, HuggingFace
from baichuan_cli.hub.modelscope import ModelScope
from baichuan_cli.hub.source import Listing, Source, SourceError

NAMES = ("huggingface", "hf-mirror", "modelscope", "aimodels")


@dataclass(frozen=True, slots=True)
class Found:
    """The source that has the files, and why those before it were passed over."""

    source: Source
    listing: Listing
    passed_over: tuple[str, ...]  # such as "huggingface: it did not answer"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a model can be had."""

    name: str  # as messages call it
    huggingface: str
    modelscope: str | None = None
    aimodels: str | None = None
    folder_names: tuple[str, ...] = ()  # what it may be called in a tree of models


def places_of(entry: Entry) -> Places:
    """Return where a model of the catalogue can be had."""
    sources = entry.sources
    names = (entry.name, *entry.aliases, sources.huggingface)
    return Places(entry.command_name, sources.huggingface, sources.modelscope, sources.aimodels, names)


def places_of_repository(repository: str) -> Places:
    """Return where a repository such as "org/name" may be had that the catalogue does not know."""
    return Places(repository, repository, repository, folder_names=(repository, repository.rpartition("/")[2]))


def sources_of(places: Places, wanted: str) -> tuple[Source, ...]:
    """Return the sources to try for a model, in the catalogue's order.

    Args:
        places: where it can be had.
        wanted: "auto", one of `NAMES`, a folder or a `file://` address.

    Raises:
        BcliError: there is no such source, or it does not have the model.
    """
    if "/" in wanted or wanted.startswith((".", "~")):
        return (Folder(wanted, places.folder_names),)
    if wanted == "auto":
        return tuple(make() for name in NAMES if (make := _maker(places, name)))
    if wanted not in NAMES:
        raise BcliError(
            f"There is no source {wanted!r}.", hint=f"Use auto, {', '.join(NAMES)}, or a folder such as ./models"
        )
    if make := _maker(places, wanted):
        return (make(),)
    has_it = [name for name in NAMES if _maker(places, name)]
    raise BcliError(
        f"{places.name} is not on {wanted}, as far as the catalogue knows.",
        hint=f"It is on {', '.join(has_it)}.",
        exit_code=ExitCode.NOT_FOUND,
    )


def dataset_sources(repository: str, wanted: str, by_hand: str) -> tuple[Source, ...]:
    """Return the sources to try for a data set of the Hugging Face hub.

    Raises:
        BcliError: it is not on the wanted source.
    """
    sources = (
        HuggingFace(repository, kind="dataset"),
        HuggingFace(repository, kind="dataset", name="hf-mirror", endpoint=MIRROR),
    )
    chosen = tuple(source for source in sources if wanted in ("auto", source.name))
    if not chosen:
        raise BcliError(f"{repository} is not on {wanted}.", hint=f"It is on huggingface and hf-mirror.\n{by_hand}")
    return chosen


def first_answer(sources: Sequence[Source], revision: str | None, by_hand: str) -> Found:
    """Return the first source that has the files.

    Args:
        sources: which to try, in this order.
        revision: a branch, tag or commit.
        by_hand: what a person can do where no source has it.

    Raises:
        SourceError: none has; each is told with its reason.
    """
    passed_over: list[str] = []
    hints: list[str] = []
    for source in sources:
        try:
            return Found(source, source.list_files(revision), tuple(passed_over))
        except SourceError as error:
            passed_over.append(f"{source.name}: {error.reason}")
            hints += [error.hint] if error.hint and error.hint not in hints else []
    if len(sources) == 1:
        raise SourceError(f"nothing came from {passed_over[0]}", hint="".join(hints))
    raise SourceError(
        "no source has it:" + "".join(f"\n  {reason}" for reason in passed_over),
        hint=by_hand,
    )


def _maker(places: Places, name: str) -> Callable[[], Source] | None:
    match name:
        case "huggingface":
            return lambda: HuggingFace(places.huggingface)
        case "hf-mirror":
            return lambda: HuggingFace(places.huggingface, name="hf-mirror", endpoint=MIRROR)
        case "modelscope" if repository := places.modelscope:
            return lambda: ModelScope(repository)
        case "aimodels" if address := places.aimodels:
            return lambda: GitServer(address)
    return None
