"""`bcli bench sweep`: throughput over ranges of loads and settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.bench.offline import run_path
from baichuan_cli.cli.bench.options import BenchTemperatureOption, SeedOption, WarmupOption
from baichuan_cli.cli.bench.ranges import whole_numbers, words
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes, chosen_model, make_plan
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.points import Point
    from baichuan_cli.bench.record import Value
    from baichuan_cli.bench.sweep import Answer, At

_LOAD = "Load"
_SWEPT = "Engine settings to sweep (each value starts an engine)"


@takes_engine
def sweep(
    wishes: Wishes,
    batch_size: Annotated[
        str,
        typer.Option("--batch-size", metavar="LIST", help="Prompts at once: 1..64 or 1,8,32.", rich_help_panel=_LOAD),
    ] = "1..64",
    input_len: Annotated[
        str, typer.Option("--input-len", metavar="LIST", help="Tokens of a prompt.", rich_help_panel=_LOAD)
    ] = "32",
    output_len: Annotated[
        str, typer.Option("--output-len", metavar="LIST", help="Tokens of an answer.", rich_help_panel=_LOAD)
    ] = "128",
    quantization: Annotated[
        str | None,
        typer.Option(
            "--quantization",
            "-q",
            metavar="LIST",
            help="none,gptq,…; gptq takes the catalogue's GPTQ checkpoint of the model.",
            rich_help_panel=_SWEPT,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", metavar="NAME=LIST", help="Any other setting: dtype=float16,bfloat16.", rich_help_panel=_SWEPT
        ),
    ] = None,
    seed: SeedOption = 0,
    temperature: BenchTemperatureOption = 0.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each point that count.", rich_help_panel="Runs")] = 3,
    warmup: WarmupOption = 1,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The sweep's file; one that exists is continued.", rich_help_panel="Runs"),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure throughput at every combination of loads and settings.

    One engine measures all loads that need no other one. A point that fails, such as by lack of memory, is a result.
    Run the same command again with the same --output to continue a sweep that was stopped.

    bcli bench sweep --batch-size 1..64 --input-len 128,1024 --output sweep.jsonl

    bcli bench sweep --model baichuan2-7b-chat --batch-size 1..64 --quantization none,gptq
    """
    from baichuan_cli.bench.points import point_key
    from baichuan_cli.bench.sweep import groups, knees, run

    out = Output(json_mode=as_json)
    loads: dict[str, Sequence[Value]] = {
        "input_len": whole_numbers(input_len, "--input-len"),
        "output_len": whole_numbers(output_len, "--output-len"),
        "batch_size": whole_numbers(batch_size, "--batch-size"),
    }
    engines = _engines(wishes, quantization, vary or ())
    todo = groups(engines, loads)
    for group in todo:
        make_plan(_engine_wishes(wishes, group.engine), purpose="offline")  # a value that makes no sense stops all
    path = run_path(output, str(engines["model"][0]), ".jsonl")
    fixed = _fixed(wishes, repeats, warmup, temperature, seed)
    points = _read(path, fixed)
    asked_for = {point_key(at) for group in todo for at in group.points}
    total, there = len(asked_for), len(asked_for & {point.key for point in points})
    if there:
        out.note(f"{there} of {total} points are in {path} already")

    def measure(engine: At, left: Sequence[At]) -> Iterator[Answer]:
        from baichuan_cli.bench.child import results_of
        from baichuan_cli.bench.choose import Wanted
        from baichuan_cli.cli.bench.worker import Runs, measure_points

        jobs = [
            (
                at,
                Wanted(
                    input_len=int(str(at["input_len"])),
                    output_len=int(str(at["output_len"])),
                    num_prompts=int(str(at["batch_size"])),
                    seed=seed,
                ),
            )
            for at in left
        ]
        return results_of(measure_points, _engine_wishes(wishes, engine), jobs, Runs(repeats, warmup, temperature))

    again = f"To continue, run the same command with --output {path}"
    with stopping(f"The points so far are in {path}.", again), path.open("ab") as file:
        for number, point in enumerate(run(todo, points, measure), start=there + 1):
            kept = point.model_copy(update={"fixed": fixed})
            file.write(kept.line())
            file.flush()
            points.append(kept)
            out.note(_told(kept, number, total))
    found = knees(points)
    if as_json:
        out.json(
            {
                "schema": "bcli.bench-sweep/1",
                "points": [point.model_dump(mode="json", by_alias=True) for point in points],
                "knees": [{"at": dict(knee.at), "batch_size": knee.batch_size} for knee in found],
            }
        )
    else:
        _show(points, out)
    for knee in found:
        where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in knee.at.items())
        out.note(f"knee at batch {knee.batch_size} ({where}): beyond it waiting grows faster than throughput")
    out.note(f"sweep saved to {path} · a page of it: bcli bench report {path} --html sweep.html")
    raise typer.Exit(ExitCode.PARTIAL if any(point.record is None for point in points) else ExitCode.OK)


def _engines(wishes: Wishes, quantization: str | None, vary: Sequence[str]) -> dict[str, Sequence[Value]]:
    """Return the values of every setting that needs an engine of its own, the model first.

    Raises:
        BcliError: a `--vary` without values, or of a name that is given twice.
    """
    engines: dict[str, Sequence[Value]] = {"model": (str(chosen_model(wishes.model)),)}
    if quantization is not None:
        engines["quantization"] = words(quantization, "--quantization")
    for assignment in vary:
        name, equals, values = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name in engines:
            raise BcliError(f"--vary {assignment} is no setting with its values.", hint="Write NAME=A,B once a name.")
        engines[name] = words(values, f"--vary {name}")
    return engines


def _engine_wishes(wishes: Wishes, engine: At) -> Wishes:
    """Return what one engine of the sweep is asked to be."""
    from baichuan_cli.catalog.catalogue import load_catalogue

    model = str(engine["model"])
    method = engine.get("quantization")
    settings = dict(wishes.settings)
    if method is not None:
        other = f"{model}-{method}"
        if method not in ("none", None) and load_catalogue().find(other) is not None:
            model = other  # its files say how it is quantized
        else:
            settings["quantization"] = method
    varied = [f"{name}={value}" for name, value in engine.items() if name not in ("model", "quantization")]
    return replace(wishes, model=model, settings=settings, assignments=(*wishes.assignments, *varied))


def _fixed(wishes: Wishes, *rest: object) -> str:
    """Return a digest of everything that is the same at all points, so that a sweep is only continued as itself."""
    from baichuan_cli.batch.item import digest

    settings = {name: value for name, value in wishes.settings.items() if value is not None}
    return digest([wishes.profile, settings, list(wishes.assignments), wishes.force, list(map(str, rest))])


def _read(path: Path, fixed: str) -> list[Point]:
    """Return the points that a sweep's file has; a line that was cut off by a kill is taken out of it.

    Raises:
        BcliError: the file is no sweep's, or of a sweep with other options.
    """
    from baichuan_cli.atomic_file import replace_file
    from baichuan_cli.bench.points import read_points

    if not path.exists():
        return []
    content = path.read_bytes()
    points = list(read_points(path, content))
    if any(point.fixed != fixed for point in points):
        raise BcliError(
            f"{path} is of a sweep with other options.",
            hint="Give the same options to continue it, or another --output.",
            exit_code=ExitCode.OUTPUT,
        )
    if not content.endswith(b"\n"):
        replace_file(path, content[: content.rfind(b"\n") + 1])
    return points


def _told(point: Point, number: int, total: int) -> str:
    from baichuan_cli.bench.table import number as shown

    where = " · ".join(f"{name.replace('_', ' ')} {value}" for name, value in point.at.items() if name != "model")
    rate = point.record.find("output_tokens_per_s") if point.record else None
    result = f"{shown(rate.summary.mean)} output tokens/s" if rate else f"failed: {point.error}"
    return f"[{number}/{total}] {where}: {result}"


def _show(points: Sequence[Point], out: Output) -> None:
    from baichuan_cli.bench.table import bar, number

    # A file that was continued with another --vary has points with and without that setting.
    names = list(dict.fromkeys(chain.from_iterable(point.at for point in points)))
    if len({point.at["model"] for point in points}) == 1:
        names.remove("model")
    found = [point.record.find("output_tokens_per_s") if point.record else None for point in points]
    largest = max((metric.summary.mean for metric in found if metric), default=0.0)
    rows = []
    for point, rate in zip(points, found, strict=True):
        place = [str(point.at.get(name, "–")) for name in names]
        if point.record is None or rate is None:
            rows.append([*place, "failed", "", "", "", point.error])
            continue
        rest = [
            number(metric.summary.mean, metric.unit) if (metric := point.record.find(name)) else "–"
            for name in ("prefill_tokens_per_s", "run_s", "decode_mbu")
        ]
        mean, spread = number(rate.summary.mean), number(rate.summary.sd)
        rows.append([*place, f"{mean} ± {spread}", *rest, bar(rate.summary.mean, largest)])
    columns = [name.replace("_", " ") for name in names]
    out.table((*columns, "output tokens/s", "prefill tokens/s", "whole run", "decode MBU", ""), rows)
