"""`bcli bench report`: runs as a page, a table or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Files of runs or sweeps.", show_default=False)],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="One page with charts that needs nothing else.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Tables in Markdown.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="A line for each metric, not rounded.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="The charts; needs the extra plot.")] = None,
) -> None:
    """Show runs, or write them as a page, Markdown, CSV or a picture.

    bcli bench report run.json --html report.html

    bcli bench report old.json new.json --markdown report.md --csv report.csv
    """
    from baichuan_cli.atomic_file import replace_file
    from baichuan_cli.bench.record import read_records
    from baichuan_cli.bench.report.page import page
    from baichuan_cli.bench.report.picture import write_picture
    from baichuan_cli.bench.report.rows import COLUMNS, csv_text, doubts, metric_rows, shape_text, title
    from baichuan_cli.bench.report.rows import markdown as as_markdown

    out = Output()
    records = [record for run in runs for record in read_records(run)]
    for path in (html, markdown, csv, png):
        if path is not None and not path.parent.is_dir():
            raise BcliError(f"There is no folder {path.parent}.", exit_code=ExitCode.OUTPUT)
    for path, render in ((html, page), (markdown, as_markdown), (csv, csv_text)):
        if path is not None:
            replace_file(path, render(records).encode())
            out.text(str(path))
    if png is not None:
        write_picture(png, records)
        out.text(str(png))
    if not (html or markdown or csv or png):
        for record in records:
            out.text(f"{title(record)}\n{shape_text(record)}")
            out.table(COLUMNS, metric_rows(record))
            for doubt in doubts(record):
                out.warning(doubt)
