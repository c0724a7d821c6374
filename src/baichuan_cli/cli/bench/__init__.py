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
from baichuan_cli.cli.help import Command, Group

app = typer.Typer(cls=Group, invoke_without_command=True, callback=throughput)
for command in (latency, serve, sweep, tune, compare, report):
    app.command(cls=Command)(command)
