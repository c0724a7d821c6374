"""The file of a sweep: JSON Lines, a measured or failed point on each, appended as it is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from baichuan_cli.bench.record import Record, Strict, Value, unreadable

_BEGINNING = b'{"schema":"bcli.bench-point/1",'  # of every line


class Point(Strict):
    """One point of a sweep.

    Attributes:
        at: where it lies, by the names of what is swept.
        record: what was measured; None where it failed.
        error: why it failed; a failing point is a result.
        fixed: a digest of everything that is the same at all points of the sweep.
        seconds: how long the point took, the start of an engine included where it needed one.
    """

    schema_version: Annotated[Literal["bcli.bench-point/1"], Field(alias="schema")] = "bcli.bench-point/1"
    at: Mapping[str, Value]
    record: Record | None = None
    error: str = ""
    seconds: float = 0.0
    fixed: str = ""

    @property
    def key(self) -> str:
        """Return the place as text, to find the point again when a sweep is continued."""
        return point_key(self.at)

    def line(self) -> bytes:
        """Return the point as a line of the file."""
        return self.model_dump_json(by_alias=True).encode() + b"\n"


def point_key(at: Mapping[str, Value]) -> str:
    """Return a place as text; the order of its names makes no difference."""
    return json.dumps(dict(at), sort_keys=True, ensure_ascii=False)


def read_points(path: Path, content: bytes) -> tuple[Point, ...]:
    """Read a sweep's file; a last line that was cut off by a kill is left out.

    Raises:
        BcliError: another line is no point, or the last one is not even the beginning of one.
    """
    *whole, cut = content.split(b"\n")
    if not (cut.startswith(_BEGINNING) or _BEGINNING.startswith(cut)):
        raise unreadable(path, ValueError("its last line is no point of a sweep"))
    points = []
    for line in whole:
        try:
            points.append(Point.model_validate_json(line))
        except ValidationError as error:
            raise unreadable(path, error) from None
    return tuple(points)
