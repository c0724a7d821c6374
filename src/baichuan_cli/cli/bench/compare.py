"""`bcli bench compare`: whether a run is better than another, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.compare import Change
    from baichuan_cli.bench.record import Record


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A run's file, or a sweep's.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The run to judge.", show_default=False)],
    fail_on_regression: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Exit 1 where something got worse by more than this, such as 5%."),
    ] = None,
    different_shapes: Annotated[
        bool, typer.Option("--different-shapes", help="Compare although the loads were not the same.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compare two runs.

    A change is called improved or regressed where the Mann-Whitney test and a bootstrap interval agree that it is no
    chance, and noise otherwise.

    bcli bench compare old.json new.json --fail-on-regression 5%
    """
    from baichuan_cli.bench.compare import pair, varied
    from baichuan_cli.bench.record import read_records

    out = Output(json_mode=as_json)
    limit = None if fail_on_regression is None else _share(fail_on_regression)
    olds, news = read_records(old), read_records(new)
    pairs, names = pair(olds, news), sorted(varied(olds) | varied(news))
    if not pairs:
        raise BcliError(
            f"No point of {old} has one of the same shape and settings in {new}.",
            hint="Measure the same loads in both: bcli bench sweep",
            exit_code=ExitCode.REFUSED,
        )
    results = []
    for before, after in pairs:
        if len(pairs) > 1 and not as_json:
            out.text(_place(before, names))
        results.append(_compare(before, after, out, different_shapes=different_shapes))
    worse = [change for changes in results for change in changes if limit is not None and _fails(change, limit)]
    if as_json:
        out.json(
            {
                "schema": "bcli.bench-compare/1",
                "runs": [_as_json(pair, changes, names) for pair, changes in zip(pairs, results, strict=True)],
                "regressions": [change.name for change in worse],
            }
        )
    for change in worse:
        out.warning(f"{_label(change)} got worse by {change.worse_by:.1%}")
    raise typer.Exit(ExitCode.PARTIAL if worse else ExitCode.OK)


def _share(text: str) -> float:
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < float("inf"):
        raise BcliError(f"--fail-on-regression {text!r} is no percentage.", hint="Write it like 5%.")
    return percent / 100


def _fails(change: Change, limit: float) -> bool:
    """Tell whether a change is worse than the limit; with too few samples to judge, the change itself counts."""
    return change.verdict in ("regressed", "too few samples") and change.worse_by > limit


def _compare(old: Record, new: Record, out: Output, *, different_shapes: bool) -> list[Change]:
    from baichuan_cli.bench.compare import compare, differences_in_set_up, differences_in_shape
    from baichuan_cli.bench.table import number

    if differences := differences_in_shape(old, new):
        if not different_shapes:
            raise BcliError(
                f"The runs have different shapes: {'; '.join(differences)}.",
                hint="Measure the same load again, or compare all the same with --different-shapes.",
                exit_code=ExitCode.REFUSED,
            )
        out.warning(f"different shapes: {'; '.join(differences)}")
    changes = compare(old, new)
    if out.json_mode:
        return changes
    rows = [
        [
            _label(change),
            number(change.old, change.unit),
            number(change.new, change.unit),
            f"{change.change:+.1%}",
            _interval(change),
            f"{change.p_value:.3f}",
            change.verdict,
        ]
        for change in changes
    ]
    out.table(("", "old", "new", "change", "95 % interval", "p", ""), rows)
    for record, name in ((old, "old"), (new, "new")):
        for mark in record.marks:
            out.warning(f"{name}: {mark}")
    for difference in differences_in_set_up(old, new):
        out.note(difference)
    return changes


def _place(record: Record, names: Sequence[str]) -> str:
    """Return which point of a sweep it is: its load, and the settings that were varied."""
    from baichuan_cli.bench.compare import setting_value
    from baichuan_cli.bench.report.rows import shape_text

    settings = (f"{name.replace('_', ' ')} {setting_value(record, name)}" for name in names)
    return " · ".join([record.model.name, shape_text(record), *settings])


def _label(change: Change) -> str:
    from baichuan_cli.bench.table import NAMES

    where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in change.at.items())
    return f"{NAMES.get(change.name, change.name)}{f' ({where})' if where else ''}"


def _interval(change: Change) -> str:
    low, high = change.interval
    return "–" if low is None or high is None else f"{low:+.1%} to {high:+.1%}"


def _as_json(pair: tuple[Record, Record], changes: list[Change], names: Sequence[str]) -> dict[str, object]:
    from baichuan_cli.bench.compare import differences_in_set_up, differences_in_shape, setting_value

    return {
        "shape": dict(pair[0].shape),
        "settings": {name: setting_value(pair[0], name) for name in names},
        "different_shapes": differences_in_shape(*pair),
        "differences": differences_in_set_up(*pair),
        "changes": [
            {
                "name": change.name,
                "at": dict(change.at),
                "unit": change.unit,
                "old": change.old,
                "new": change.new,
                "change": change.change,
                "interval": list(change.interval),
                "p_value": change.p_value,
                "verdict": change.verdict,
            }
            for change in changes
        ],
    }
