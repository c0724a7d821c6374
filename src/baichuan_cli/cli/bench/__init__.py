"""`bcli bench`: a group whose own run, without a subcommand, is the throughput run."""

from __future__ import annotations

import typer

from baichuan_cli.cli.bench.compare import compare
from baichuan_cli.cli.bench.latency import latency
from baichuan_cli.cli.bench.report import report
from baichuan_cli.cli.bench.serve import serve
from baichuan_cli.cli.bench.sweep import sweep
from baichuan_cli.cli.bench.throughput import throughput
from baichuan_cli.cli.bench.tune import tune

app = typer.Typer(invoke_without_command=True, callback=throughput)
app.command()(latency)
app.command()(serve)
app.command()(sweep)
app.command()(tune)
app.command()(compare)
app.command()(report)
