"""`bcli bench latency`: how long a person waits, at given batch sizes, offline."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.bench.offline import choose, finish, open_session, plan_benchmark, run_path
from baichuan_cli.cli.bench.options import (
    BenchTemperatureOption,
    DatasetOption,
    InputLenOption,
    OutputLenOption,
    OutputOption,
    SeedOption,
    WarmupOption,
)
from baichuan_cli.cli.bench.ranges import whole_numbers
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes
from baichuan_cli.cli.stopping import stopping


@takes_engine
def latency(
    wishes: Wishes,
    batch_size: Annotated[
        str,
        typer.Option("--batch-size", metavar="LIST", help="Such as 1,8,32 or 1..32.", rich_help_panel="Load"),
    ] = "1",
    dataset: DatasetOption = "random",
    input_len: InputLenOption = None,
    output_len: OutputLenOption = None,
    seed: SeedOption = 0,
    temperature: BenchTemperatureOption = 0.0,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Batches of each size that count.", rich_help_panel="Runs")
    ] = 10,
    warmup: WarmupOption = 1,
    output: OutputOption = None,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Measure first token, time per output token and whole answers at given batch sizes, offline.

    bcli bench latency --batch-size 1,8,32 --input-len 32 --output-len 128
    """
    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.table import percentile_table

    out = Output(json_mode=as_json)
    sizes = whole_numbers(batch_size, "--batch-size")
    grounded = plan_benchmark(wishes, out, temperature=temperature, prefix_cache=False)
    chosen = choose(Wanted(dataset, input_len, output_len, max(sizes), seed), grounded.plan)
    path = run_path(output, grounded.plan.model.name)
    with (
        stopping("Nothing was saved."),
        open_session(grounded, out, verbose=verbose) as (session, shown),
        shown.status(f"{repeats} batches each of {', '.join(map(str, sizes))} …"),
    ):
        record = session.latency(chosen.workload, sizes, repeats=repeats, warmup=warmup)
    finish(record, path, out, [percentile_table(record.metrics)])
