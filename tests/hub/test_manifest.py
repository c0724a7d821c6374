"""Damaged records: always a clear error, never a traceback, and never a path out of the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.manifest import FILE_NAME, FileRecord, Manifest, read_manifest, write_manifest

GOOD: dict[str, Any] = {
    "schema": "bcli.manifest/1",
    "name": "model",
    "source": "huggingface",
    "files": {"a.bin": {"size": 3, "sha256": "0" * 64}},
    "state": "complete",
}
TEXT = json.dumps(GOOD).encode()
IN_A_TEMPORARY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(folder: Path, content: bytes) -> Manifest:
    (folder / FILE_NAME).write_bytes(content)
    found = read_manifest(folder)
    assert found is not None
    return found


def error(folder: Path, content: bytes) -> BcliError:
    with pytest.raises(BcliError) as caught:
        read(folder, content)
    assert caught.value.exit_code == ExitCode.INVALID
    return caught.value


def test_a_whole_one(tmp_path: Path) -> None:
    found = read(tmp_path, TEXT)
    assert found.files == {"a.bin": FileRecord(size=3, sha256="0" * 64)}
    assert found.state == "complete"


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"null", b"{", b"[" * 100_000, TEXT[:-1], b'{"schema": 1}'])
def test_what_is_no_record(tmp_path: Path, content: bytes) -> None:
    problem = error(tmp_path, content)
    assert problem.message.startswith(f"The record of {tmp_path.name} is damaged: ")
    assert problem.hint == (
        f"Delete the record and download again, which keeps what is there: rm {tmp_path / FILE_NAME}\n"
        f"Then: bcli download {tmp_path.name}"
    )


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "a\\b", "", ".", "a//b", "a/", "a\n"])
@pytest.mark.parametrize("key", ["files", "patches"])
def test_a_path_that_leads_out_is_damage(tmp_path: Path, key: str, path: str) -> None:
    problem = error(tmp_path, json.dumps({**GOOD, key: {path: {"size": 1}}}).encode())
    assert "leads out of the model's folder" in problem.message


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"a": {"size": -1}}},
        {"files": {"a": {"size": "3"}}},
        {"files": {"a": {"size": 3, "sha256": "0" * 63}}},
        {"files": {"a": {"size": 3, "sha256": "X" * 64}}},
        {"state": "done"},
        {"name": None},
        {"created": "yesterday"},
        {"surprise": 1},
    ],
)
def test_values_that_make_no_sense(tmp_path: Path, change: dict[str, Any]) -> None:
    error(tmp_path, json.dumps({**GOOD, **change}).encode())


def test_one_of_a_newer_bcli(tmp_path: Path) -> None:
    problem = error(tmp_path, json.dumps({**GOOD, "schema": "bcli.manifest/2"}).encode())
    assert problem.message == (
        f"The record of {tmp_path.name} was written by another version of bcli: "
        "'bcli.manifest/2', not 'bcli.manifest/1'."
    )


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(BcliError, match="is damaged: it is a folder"):
        read_manifest(tmp_path)


@IN_A_TEMPORARY_FOLDER
@given(st.binary(max_size=60), st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_any_damage_reads_as_a_record_or_as_an_error(tmp_path: Path, put: bytes, start: int, end: int) -> None:
    (tmp_path / FILE_NAME).write_bytes(TEXT[:start] + put + TEXT[end:])
    try:
        found = read_manifest(tmp_path)
    except BcliError as problem:
        assert problem.exit_code == ExitCode.INVALID
    else:
        assert isinstance(found, Manifest)


PATHS = st.from_regex(r"[a-z0-9_-]{1,8}(/[a-z0-9_.-]{0,3}[a-z]){0,2}", fullmatch=True)
RECORDS = st.builds(
    FileRecord,
    size=st.integers(0, 2**50),
    sha256=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@IN_A_TEMPORARY_FOLDER
@given(st.dictionaries(PATHS, RECORDS, max_size=5), st.text(max_size=20))
def test_what_is_written_is_read_back(tmp_path: Path, files: dict[str, FileRecord], repository: str) -> None:
    manifest = Manifest(name="model", source="modelscope", repository=repository, files=files)
    assert write_manifest(tmp_path, manifest) == read_manifest(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
