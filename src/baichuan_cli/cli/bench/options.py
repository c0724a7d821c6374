"""Options that several benchmarks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_LOAD = "Load"
_RUNS = "Runs"

DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="random, sonnet, sharegpt (after `bcli download sharegpt`), a .jsonl of your own prompts, "
        "or ShareGPT's .json.",
        rich_help_panel=_LOAD,
    ),
]
InputLenOption = Annotated[
    int | None, typer.Option("--input-len", min=1, help="Tokens of a prompt. Default: 32.", rich_help_panel=_LOAD)
]
OutputLenOption = Annotated[
    int | None, typer.Option("--output-len", min=1, help="Tokens of an answer. Default: 128.", rich_help_panel=_LOAD)
]
NumPromptsOption = Annotated[
    int | None,
    typer.Option(
        "--num-prompts",
        min=1,
        help="Prompts a run. Default: 32; 200 of ShareGPT; all of your own.",
        rich_help_panel=_LOAD,
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Draws the prompts and their arrivals.", rich_help_panel=_LOAD)
]
BenchTemperatureOption = Annotated[
    float, typer.Option("--temperature", min=0.0, help="0 is greedy.", rich_help_panel=_LOAD)
]
WarmupOption = Annotated[
    int, typer.Option("--warmup", min=0, help="Runs before the first one that counts.", rich_help_panel=_RUNS)
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The run's file. Default: MODEL-DATE-N.json here.", rich_help_panel=_RUNS),
]
