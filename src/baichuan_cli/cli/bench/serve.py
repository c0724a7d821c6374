"""`bcli bench serve`: load on a running server, or on one that it starts itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.bench.offline import finish, run_path
from baichuan_cli.cli.bench.options import (
    BenchTemperatureOption,
    DatasetOption,
    InputLenOption,
    NumPromptsOption,
    OutputLenOption,
    OutputOption,
    SeedOption,
)
from baichuan_cli.cli.bench.served import own_server, running_server
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Record
    from baichuan_cli.bench.serving.run import Asked
    from baichuan_cli.cli.bench.served import Served

_LOAD = "Load"
_SERVER = "Server"
_WARMUP = 8


@takes_engine
def serve(
    served_model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Start a server of this model, measure it and stop it.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    *,
    wishes: Wishes,
    url: Annotated[
        str | None, typer.Option("--url", help="A server that runs: http://host:8000/v1", rich_help_panel=_SERVER)
    ] = None,
    served_model_name: Annotated[
        str | None,
        typer.Option(help="Which of the server's models. Default: its only one.", rich_help_panel=_SERVER),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="VLLM_API_KEY", help="Key of the server.", show_default=False, rich_help_panel=_SERVER),
    ] = None,
    endpoint: Annotated[
        str,
        typer.Option(
            help="completions sends token ids, chat sends text in the server's chat layout.", rich_help_panel=_SERVER
        ),
    ] = "completions",
    request_rate: Annotated[
        str,
        typer.Option(
            metavar="RATE",
            help="Requests a second: 4, 1..8 for a ramp, or inf for all at once.",
            rich_help_panel=_LOAD,
        ),
    ] = "inf",
    burstiness: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Shape of the gaps' gamma distribution: 1 is Poisson, less is burstier.",
            rich_help_panel=_LOAD,
        ),
    ] = 1.0,
    constant: Annotated[
        bool, typer.Option("--constant", help="Send at even intervals.", rich_help_panel=_LOAD)
    ] = False,
    max_concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, help="Requests under way at most; with --request-rate inf a closed loop.", rich_help_panel=_LOAD
        ),
    ] = None,
    dataset: DatasetOption = "random",
    input_len: InputLenOption = None,
    output_len: OutputLenOption = None,
    num_prompts: NumPromptsOption = None,
    seed: SeedOption = 0,
    temperature: BenchTemperatureOption = 0.0,
    ignore_eos: Annotated[
        bool,
        typer.Option("--ignore-eos/--no-ignore-eos", help="Let no answer end early.", rich_help_panel=_LOAD),
    ] = True,
    slo: Annotated[
        str,
        typer.Option(metavar="LIMITS", help="Milliseconds for goodput: ttft:200,tpot:50", rich_help_panel=_LOAD),
    ] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Runs that count.", rich_help_panel="Runs")] = 1,
    warmup: Annotated[
        int, typer.Option(min=0, help="Requests before the first run that counts.", rich_help_panel="Runs")
    ] = _WARMUP,
    allow_failures: Annotated[
        bool, typer.Option("--allow-failures", help="Exit 0 although requests failed.", rich_help_panel="Runs")
    ] = False,
    output: OutputOption = None,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Measure a server under load.

    bcli bench serve demo --request-rate 4 --num-prompts 40

    bcli bench serve --url http://localhost:8000/v1 --request-rate 4 --num-prompts 200 --slo ttft:200,tpot:50

    bcli bench serve --url http://localhost:8000/v1 --max-concurrency 16 --num-prompts 200
    """
    import asyncio

    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.serving.arrivals import read_rate
    from baichuan_cli.bench.serving.goals import read_goals
    from baichuan_cli.bench.serving.load import Target
    from baichuan_cli.bench.serving.run import Asked

    out = Output(json_mode=as_json)
    if endpoint not in ("completions", "chat"):
        raise BcliError(f"--endpoint {endpoint!r} is neither completions nor chat.")
    arrivals, goals = read_rate(request_rate, burstiness, constant=constant), read_goals(slo)
    if output is not None:
        run_path(output, "")  # refused before a server starts
    wanted = Wanted(dataset, input_len, output_len, num_prompts, seed)
    sampling = {"temperature": temperature, **({"ignore_eos": True} if ignore_eos else {})}
    place = (
        running_server(url, api_key, served_model_name, served_model, wishes, wanted, out)
        if url
        else own_server(served_model, wishes, wanted, out, verbose=verbose)
    )
    with stopping("Nothing was saved."), place as served:
        chosen = served.chosen
        path = run_path(output, served.name)
        asked = Asked(
            target=Target(served.name, endpoint, sampling, max_concurrency),
            workload=chosen.workload,
            arrivals=arrivals,
            count=chosen.num_prompts,
            repeats=repeats,
            warmup=min(warmup, chosen.num_prompts),
            seed=seed,
            goals=goals,
        )
        record = asyncio.run(_measure(served, asked, out))
    _show(record, asked, path, out)
    raise typer.Exit(ExitCode.PARTIAL if record.failed and not allow_failures else ExitCode.OK)


async def _measure(served: Served, asked: Asked, out: Output) -> Record:
    """Measure, and show on a terminal how far it is."""
    from baichuan_cli.bench.serving.load import Sample
    from baichuan_cli.bench.serving.run import measure_serving

    with out.progress() as bar:
        task = bar.add_task("requests", total=asked.count * asked.repeats, rate="")
        failed = 0

        def show(sample: Sample) -> None:
            nonlocal failed
            failed += not sample.ok
            bar.update(task, advance=1, rate=f"{failed} failed" if failed else "")

        return await measure_serving(served.url, served.api_key, asked, served.about, on_done=show)


def _show(record: Record, asked: Asked, path: Path, out: Output) -> None:
    from baichuan_cli.bench.table import RUN_COLUMNS, percentile_table, run_rows

    runs = f"({asked.repeats} {'run' if asked.repeats == 1 else 'runs'} of {asked.count} requests)"
    tables = [percentile_table(record.metrics), ((*RUN_COLUMNS, runs), run_rows(record.metrics))]
    finish(record, path, out, [table for table in tables if table[1]])
    for failure in record.failures:
        out.warning(f"{failure.count} of {asked.count * asked.repeats} requests failed: {failure.error}")
