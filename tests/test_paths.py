"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.paths import expand_home


def test_a_home_folder_is_put_in_where_there_is_one() -> None:
    assert expand_home("~/models") == Path.home() / "models"
    assert expand_home("~no-such-person/models") == Path("~no-such-person/models")
