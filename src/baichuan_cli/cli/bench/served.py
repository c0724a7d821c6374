"""The server to measure: one that runs already, or one started for this."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.cli.planning import check, make_grounded_plan
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.choose import Chosen, Wanted
    from baichuan_cli.bench.serving.run import About
    from baichuan_cli.catalog.model import Model
    from baichuan_cli.cli.output import Output
    from baichuan_cli.cli.planning import Wishes
    from baichuan_cli.engine.client import ServedModel

#: What a model is taken to hold where the server does not say.
_USUAL_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers.

    Attributes:
        name: of the model, as requests name it.
        chosen: what is sent to it.
        about: what the record says of it.
    """

    url: str
    api_key: str | None
    name: str
    chosen: Chosen
    about: About


@contextmanager
def own_server(
    positional: str | None, wishes: Wishes, wanted: Wanted, out: Output, *, verbose: bool
) -> Iterator[Served]:
    """Start a server by the plan, and stop it at the end.

    Args:
        positional: the model as an argument, the same as --model.
        wanted: what shall be sent; where it cannot be, no server is started.

    Raises:
        BcliError: the plan refuses, as `choose_workload`, or vLLM cannot start.
    """
    from baichuan_cli.bench.choose import choose_workload
    from baichuan_cli.bench.environment import doubts, look
    from baichuan_cli.bench.serving.run import About
    from baichuan_cli.bench.session import model_record, setting_records
    from baichuan_cli.engine.server import Server, private_options
    from baichuan_cli.plan.model import Layer

    if positional and wishes.model:
        raise BcliError(f"The model is given twice: {positional} and --model {wishes.model}.")
    wishes = replace(
        wishes,
        model=positional or wishes.model,
        preferred=Layer("bench", settings={"enable_prefix_caching": False}),
    )
    plan, headline, _, machine = make_grounded_plan(wishes, purpose="server")
    out.note(headline)
    check(plan, out)
    require_local(plan.model)
    chosen = choose_workload(wanted, plan.model, int(str(plan.settings["max_model_len"].value)))
    environment = look(machine)
    begun = time.perf_counter()
    tell = out.note if verbose else (lambda _: None)
    with out.status("starting the server …"):
        server = Server.start(plan, private_options(), on_progress=tell)
    with server:
        about = About(
            model=model_record(plan.model),
            environment=environment,
            profile=plan.profile_name,
            settings=setting_records(plan.settings),
            variables=setting_records(plan.environment),
            load_seconds=time.perf_counter() - begun,
            doubts=doubts(environment),
        )
        yield Served(server.url, server.api_key, server.model_name, chosen, about)


@contextmanager
def running_server(
    url: str,
    api_key: str | None,
    name: str | None,
    positional: str | None,
    wishes: Wishes,
    wanted: Wanted,
    out: Output,
) -> Iterator[Served]:
    """Ask a server what it serves.

    Args:
        name: which of its models; None for its only one.
        positional: a model to start, which does not go with a server that runs.
        wishes: `--model` tells whose vocabulary the served model has; settings of an engine are refused.
        wanted: what shall be sent.

    Raises:
        BcliError: it does not answer, serves no such model, its vocabulary is not known here, or as `choose_workload`.
    """
    import asyncio

    from baichuan_cli.bench.choose import choose_workload
    from baichuan_cli.bench.environment import doubts, look
    from baichuan_cli.bench.serving.run import About
    from baichuan_cli.bench.session import model_record
    from baichuan_cli.engine.client import Client
    from baichuan_cli.engine.endpoint import api_root, shown

    if positional:
        raise BcliError(
            f"--url measures a server that runs; {positional} would start another.",
            hint=f"To say which model it serves: --model {positional}",
        )
    given = [name for name, value in wishes.settings.items() if value is not None]
    if given or wishes.assignments or wishes.profile:
        named = f"--{given[0].replace('_', '-')}" if given else "--profile" if wishes.profile else "--set"
        raise BcliError(f"{named} is for a server that bcli starts; this one runs already.", hint="Leave it out.")

    async def ask() -> tuple[ServedModel, ...]:
        async with Client(url, api_key=api_key) as client:
            return await client.models()

    served = _choose(asyncio.run(ask()), name)
    model = _vocabulary(served, str(wishes.model) if wishes.model else None)
    chosen = choose_workload(wanted, model, served.max_model_len or _USUAL_CONTEXT)
    environment = look()
    address = shown(api_root(url))
    environment["server"] = {"url": address, "model": served.name, "root": served.root}
    out.note(f"{served.name} at {address}")
    record = model_record(model).model_copy(update={"name": served.name})
    about = About(model=record, environment=environment, doubts=doubts(environment))
    yield Served(url, api_key, served.name, chosen, about)


def _choose(models: tuple[ServedModel, ...], wanted: str | None) -> ServedModel:
    names = ", ".join(model.name for model in models)
    if wanted is None and len(models) == 1:
        return models[0]
    for model in models:
        if model.name == wanted:
            return model
    if wanted is None:
        raise BcliError(f"The server serves several models: {names}.", hint="Choose with --served-model-name.")
    raise BcliError(f"The server has no model {wanted!r}.", hint=f"It serves: {names}", exit_code=ExitCode.NOT_FOUND)


def _vocabulary(served: ServedModel, named: str | None) -> Model:
    """Return the model that is served, as far as it is known here: by --model, the server's folder, or its name."""
    if named is not None:
        return resolve_model(named)
    for candidate in filter(None, (served.root, served.name)):
        try:
            return resolve_model(candidate)
        except BcliError:
            continue  # the server's path need not exist here
    raise BcliError(
        f"The server calls its model {served.name}, and no such model is known here.",
        hint="Say which it is, so that prompts are of its tokens: --model NAME_OR_FOLDER",
        exit_code=ExitCode.NOT_FOUND,
    )
