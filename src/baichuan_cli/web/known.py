"""What this machine knows about a model that a server lists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.engine.stream import ServedModel
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.sampling import resolve_sampling


@cache
def own_sampling(served: ServedModel) -> Mapping[str, Any] | None:
    """Return a model's own sampling parameters, from its files or from the catalogue; None where neither has it.

    vLLM tells which folder or repository it serves; that folder may be another machine's, so the name counts too.
    """
    for name in filter(None, (served.root, served.name)):
        try:
            sampling = resolve_sampling(resolve_model(name), ())
        except BcliError:  # not Baichuan, not here, or damaged: then the server decides
            continue
        return {parameter: setting.value for parameter, setting in sampling.items()}
    return None
