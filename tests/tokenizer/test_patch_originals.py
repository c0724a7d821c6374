"""Originals come back byte for byte, and a kill at any moment leaves each file old or new."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError
from baichuan_cli.tokenizer.originals import apply_patch, read_originals, revert_patch
from baichuan_cli.tokenizer.patch import plan_patch
from tokenizer.published_code import BROKEN, WORKING, write_checkpoint

CODE, CONFIG = "tokenization_baichuan.py", "tokenizer_config.json"


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a checkpoint, save what bcli keeps."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".bcli"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", BROKEN["Baichuan2-13B"])


@pytest.fixture(scope="module", params=[*BROKEN, *WORKING])
def any_checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any") / "checkpoint"
    return write_checkpoint(folder, {**BROKEN, **WORKING}[request.param])


@pytest.mark.parametrize("fast", [False, True])
def test_patching_then_reverting_is_identity(any_checkpoint: Path, fast: bool) -> None:
    before = contents(any_checkpoint)
    apply_patch(plan_patch(any_checkpoint, fast=fast))
    assert contents(any_checkpoint) != before
    assert plan_patch(any_checkpoint, fast=fast).edits == ()
    revert_patch(any_checkpoint)
    assert contents(any_checkpoint) == before
    assert not (any_checkpoint / ".bcli").exists()


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(["patch", "fast", "revert"]), max_size=6))
def test_any_sequence_of_patches_can_be_reverted(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    folder = write_checkpoint(tmp_path_factory.mktemp("steps"), BROKEN["CRLF"])
    before = contents(folder)
    for step in steps:
        if step == "revert":
            revert_patch(folder)
        else:
            apply_patch(plan_patch(folder, fast=step == "fast"))
    revert_patch(folder)
    assert contents(folder) == before
    assert revert_patch(folder).restored == ()


def test_permissions_stay(checkpoint: Path) -> None:
    (checkpoint / CODE).chmod(0o640)
    apply_patch(plan_patch(checkpoint))
    assert (checkpoint / CODE).stat().st_mode & 0o777 == 0o640
    revert_patch(checkpoint)
    assert (checkpoint / CODE).stat().st_mode & 0o777 == 0o640


def test_in_the_hub_s_cache_the_shared_file_is_not_touched(checkpoint: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "a1b2"
    blob.parent.mkdir()
    shutil.move(checkpoint / CODE, blob)
    (checkpoint / CODE).symlink_to("../blobs/a1b2")
    published = blob.read_bytes()
    apply_patch(plan_patch(checkpoint))
    assert blob.read_bytes() == published
    assert not (checkpoint / CODE).is_symlink()
    assert (checkpoint / CODE).read_bytes() != published
    revert_patch(checkpoint)
    assert (checkpoint / CODE).readlink() == Path("../blobs/a1b2")


def test_a_link_whose_file_is_gone_comes_back_as_a_file(checkpoint: Path, tmp_path: Path) -> None:
    published = (checkpoint / CODE).read_bytes()
    shutil.move(checkpoint / CODE, tmp_path / "blob")
    (checkpoint / CODE).symlink_to("../blob")
    apply_patch(plan_patch(checkpoint))
    (tmp_path / "blob").unlink()
    revert_patch(checkpoint)
    assert not (checkpoint / CODE).is_symlink()
    assert (checkpoint / CODE).read_bytes() == published


def test_what_someone_changed_since_is_left_alone(checkpoint: Path) -> None:
    published = (checkpoint / CODE).read_bytes()
    apply_patch(plan_patch(checkpoint))
    (checkpoint / CONFIG).write_text("{}")
    reverted = revert_patch(checkpoint)
    assert reverted.restored == (CODE, "special_tokens_map.json")
    assert reverted.changed_since == (CONFIG,)
    assert (checkpoint / CONFIG).read_text() == "{}"
    assert (checkpoint / CODE).read_bytes() == published
    assert list(read_originals(checkpoint)) == [CONFIG]


def test_a_newer_release_of_a_file_is_an_original_of_its_own(checkpoint: Path) -> None:
    apply_patch(plan_patch(checkpoint))
    newer = b"# newer\n" + str(BROKEN["Baichuan2-13B"]).encode()
    (checkpoint / CODE).write_bytes(newer)
    apply_patch(plan_patch(checkpoint))
    assert len(list((checkpoint / ".bcli" / "originals").glob(f"{CODE}.*"))) == 2
    revert_patch(checkpoint)
    assert (checkpoint / CODE).read_bytes() == newer


def test_a_damaged_original_changes_nothing(checkpoint: Path) -> None:
    apply_patch(plan_patch(checkpoint))
    patched = contents(checkpoint)
    [kept] = (checkpoint / ".bcli" / "originals").glob(f"{CODE}.*")
    kept.write_bytes(b"")
    with pytest.raises(BcliError, match="The original of tokenization_baichuan.py is missing or damaged"):
        revert_patch(checkpoint)
    assert contents(checkpoint) == patched


def test_a_record_from_elsewhere_reaches_no_other_file(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (checkpoint / ".bcli").mkdir()
    record = {"../victim": {"sha256": None, "link": None, "written": []}}
    (checkpoint / ".bcli" / "patch.json").write_text(json.dumps({"files": record}))
    assert revert_patch(checkpoint).restored == ()
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("record", ["[]", '{"files": []}', '{"files": {"tokenizer.json": {"sha256": 1}}}', "{"])
def test_a_damaged_record_is_named(checkpoint: Path, record: str) -> None:
    (checkpoint / ".bcli").mkdir()
    (checkpoint / ".bcli" / "patch.json").write_text(record)
    before = contents(checkpoint)
    for action in (revert_patch, lambda folder: apply_patch(plan_patch(folder))):
        with pytest.raises(BcliError, match="is damaged"):
            action(checkpoint)
    assert contents(checkpoint) == before


@pytest.mark.parametrize("place", [".bcli", ".bcli/originals"])
def test_a_linked_place_for_originals_is_refused(checkpoint: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (checkpoint / place).parent.mkdir(exist_ok=True)
    (checkpoint / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BcliError, match="is a symbolic link"):
        apply_patch(plan_patch(checkpoint))
    with pytest.raises(BcliError, match="is a symbolic link"):
        revert_patch(checkpoint)


#: Patch or revert, and die at the n-th step that changes a folder.
KILLED = """
import os, signal, sys
from pathlib import Path
from baichuan_cli.tokenizer.originals import apply_patch, revert_patch
from baichuan_cli.tokenizer.patch import plan_patch

folder, action, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
patch = plan_patch(folder, fast=True) if action == "patch" else None

def count(event, arguments):
    global left
    changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir") or (event == "open" and arguments[1] == "xb")
    if changes and str(folder) in str(arguments):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
apply_patch(patch) if patch else revert_patch(folder)
"""


def killed(folder: Path, action: str, step: int) -> bool:
    result = subprocess.run([sys.executable, "-c", KILLED, str(folder), action, str(step)], check=False)
    assert result.returncode in (0, -signal.SIGKILL)
    return result.returncode != 0


@pytest.mark.parametrize("action", ["patch", "revert"])
def test_a_kill_at_any_step_leaves_old_or_new_files_and_can_be_taken_up(tmp_path: Path, action: str) -> None:
    old = write_checkpoint(tmp_path / "old", BROKEN["7B"])
    new = Path(shutil.copytree(old, tmp_path / "new"))
    apply_patch(plan_patch(new, fast=True))
    before, after = contents(old), contents(new)
    step = 0
    while True:
        folder = tmp_path / f"step-{step}"
        shutil.copytree(old if action == "patch" else new, folder)
        if not killed(folder, action, step):
            break
        for name, content in contents(folder).items():
            if not name.startswith("."):
                assert content in (before.get(name), after.get(name)), (step, name)
        assert contents(folder).keys() >= before.keys()
        if step % 2:
            apply_patch(plan_patch(folder, fast=True))
            assert contents(folder) == after
        revert_patch(folder)
        assert {name: content for name, content in contents(folder).items() if not name.startswith(".")} == before
        step += 1
    assert step >= 8
