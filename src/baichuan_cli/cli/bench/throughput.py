"""`bcli bench`: how many tokens a second the engine makes, offline."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.bench.offline import choose, finish, open_session, plan_benchmark, run_path
from baichuan_cli.cli.bench.options import (
    BenchTemperatureOption,
    DatasetOption,
    InputLenOption,
    NumPromptsOption,
    OutputLenOption,
    OutputOption,
    SeedOption,
    WarmupOption,
)
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError


@takes_engine
def throughput(
    context: typer.Context,
    wishes: Wishes,
    dataset: DatasetOption = "random",
    input_len: InputLenOption = None,
    output_len: OutputLenOption = None,
    num_prompts: NumPromptsOption = None,
    seed: SeedOption = 0,
    temperature: BenchTemperatureOption = 0.0,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Runs that count.", rich_help_panel="Runs")] = 5,
    warmup: WarmupOption = 1,
    legacy: Annotated[
        bool,
        typer.Option(
            "--legacy",
            help="Measure as vLLM 0.5's benchmark_throughput.py does: same prompts, nominal counts, one cold run.",
            rich_help_panel="Load",
        ),
    ] = False,
    output: OutputOption = None,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Measure throughput, offline.

    All prompts are given to the engine at once. They are random tokens, every prompt different, so that no cache
    answers for the engine.

    bcli bench --model demo --input-len 32 --output-len 128

    bcli bench --model baichuan2-7b-chat --input-len 2048 --output-len 1 --num-prompts 1

    bcli bench --model baichuan2-7b-chat --dataset sharegpt --num-prompts 200
    """
    if context.invoked_subcommand is not None:
        _refuse_options_in_front(context)
        return
    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.table import RUN_COLUMNS, run_rows

    out = Output(json_mode=as_json)
    if legacy:
        temperature, repeats, warmup = 1.0, 1, 0
    grounded = plan_benchmark(wishes, out, temperature=temperature, prefix_cache=legacy)
    wanted = Wanted(dataset, input_len, output_len, num_prompts, seed, legacy)
    chosen = choose(wanted, grounded.plan)
    path = run_path(output, grounded.plan.model.name)
    with (
        stopping("Nothing was saved."),
        open_session(grounded, out, verbose=verbose) as (session, shown),
        shown.status(f"{warmup} + {repeats} runs of {chosen.num_prompts} prompts …"),
    ):
        record = session.throughput(chosen.workload, chosen.num_prompts, repeats=repeats, warmup=warmup)
    runs = f"{repeats} {'run' if repeats == 1 else 'runs'} after {warmup} warm-up"
    finish(record, path, out, [((*RUN_COLUMNS, f"({runs})"), run_rows(record.metrics))])


def _refuse_options_in_front(context: typer.Context) -> None:
    """Refuse options that would be lost because they stand before a subcommand.

    Raises:
        BcliError: there is one.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise BcliError(
                f"{parameter.opts[0]} stands before {context.invoked_subcommand}, which would not see it.",
                hint=f"Put it behind: bcli bench {context.invoked_subcommand} {parameter.opts[0]} …",
            )
