"""What lands on stdout, what on stderr, and in which form."""

from __future__ import annotations

import io

import pytest

from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


def test_data_goes_to_stdout_and_talk_to_stderr(streams: tuple[io.StringIO, io.StringIO]) -> None:
    stdout, stderr = streams
    out = Output(stdout=stdout, stderr=stderr)
    out.text("疑是地上霜。")
    out.note("24 tokens in 0.1 s")
    out.warning("the card may lie", hint="run it again")
    out.error(BcliError("no such model: x", hint="try demo"))
    assert stdout.getvalue() == "疑是地上霜。\n"
    assert stderr.getvalue() == (
        "24 tokens in 0.1 s\nwarning: the card may lie\n  run it again\nerror: no such model: x\n  try demo\n"
    )


def test_a_table_lines_up_by_display_width_and_has_no_trailing_spaces(
    streams: tuple[io.StringIO, io.StringIO],
) -> None:
    stdout, stderr = streams
    Output(stdout=stdout, stderr=stderr).table(["name", "says"], [["静夜思", "床前明月光"], ["demo", "x"]])
    assert stdout.getvalue() == "name    says\n静夜思  床前明月光\ndemo    x\n"


def test_a_piped_table_is_never_folded(streams: tuple[io.StringIO, io.StringIO]) -> None:
    stdout, stderr = streams
    Output(stdout=stdout, stderr=stderr).table(["a", "b"], [["x" * 200, "y" * 200]])
    assert stdout.getvalue().splitlines()[1] == "x" * 200 + "  " + "y" * 200


def test_rich_markup_in_data_stays_text(streams: tuple[io.StringIO, io.StringIO]) -> None:
    stdout, stderr = streams
    Output(stdout=stdout, stderr=stderr).facts([("prompt", "[bold]x[/bold]")])
    assert stdout.getvalue() == "prompt  [bold]x[/bold]\n"


def test_json_keeps_chinese_readable(streams: tuple[io.StringIO, io.StringIO]) -> None:
    stdout, stderr = streams
    Output(json_mode=True, stdout=stdout, stderr=stderr).json({"text": "霜"})
    assert stdout.getvalue() == '{\n  "text": "霜"\n}\n'


def test_interactive_means_a_person_and_no_json() -> None:
    assert Output(stdout=Terminal()).interactive
    assert not Output(json_mode=True, stdout=Terminal()).interactive
    assert not Output(stdout=io.StringIO()).interactive


def test_only_the_processs_own_streams_are_rerouted(
    streams: tuple[io.StringIO, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout, stderr = streams
    monkeypatch.setattr("sys.stdout", Terminal())
    own, quiet = Output(json_mode=True), Output(stdout=io.StringIO(), stderr=io.StringIO())
    for output in (own, quiet):
        rerouted = output.rerouted(stdout, stderr)
        rerouted.json({"from": "own" if output is own else "quiet"})
        assert rerouted.json_mode is output.json_mode
    assert stdout.getvalue() == '{\n  "from": "own"\n}\n'


@pytest.mark.parametrize(("encoding", "has"), [("utf-8", True), ("gbk", False), ("gb18030", True), ("ascii", False)])
def test_signs_that_an_encoding_has(encoding: str, has: bool) -> None:
    assert Output(stdout=io.TextIOWrapper(io.BytesIO(), encoding=encoding)).has_signs("✓") is has
