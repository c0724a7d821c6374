"""Time `bcli --help` against a bare Typer program that imports rich, in turn, in one run.

    .venv/bin/python benchmarks/help_time.py

Target: at most 1.5 times the bare program.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 20

BARE = """
import rich
import typer

app = typer.Typer()

@app.command()
def one(): "One."

@app.command()
def two(): "Two."

app()
"""


def seconds(command: list[str]) -> float:
    """Return the wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bare_program = Path(folder) / "bare.py"
        bare_program.write_text(BARE)
        commands = {
            "bcli --help": [str(Path(sys.executable).parent / "bcli"), "--help"],
            "bare Typer with rich": [sys.executable, str(bare_program), "--help"],
        }
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(RUNS):
            for name, command in commands.items():
                samples[name].append(seconds(command))
    for name, values in samples.items():
        median, low, high = (1000 * figure for figure in (statistics.median(values), min(values), max(values)))
        print(f"{name:22} {median:6.0f} ms  ({low:.0f} to {high:.0f})")
    ours, bare = (statistics.median(values) for values in samples.values())
    print(f"{'ratio':22} {ours / bare:6.2f}")


if __name__ == "__main__":
    main()
