"""The local store: names, removal, locks, and a kill at every step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.manifest import FILE_NAME, FileRecord, Manifest
from baichuan_cli.hub.names import check_store_name, is_inside
from baichuan_cli.hub.store import Store, size_on_disk

KILLED = Path(__file__).with_name("killed_at_every_step.py")
HOLDER = """
import sys, time
from pathlib import Path
from baichuan_cli.hub.store import Store
with Store(Path(sys.argv[1])).lock("model"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def manifest(name: str = "model", **fields: object) -> Manifest:
    return Manifest.model_validate({"name": name, "source": "huggingface", **fields})


def test_an_empty_store_is_not_created_by_looking(store: Store) -> None:
    assert (store.names(), store.read("model")) == ([], None)
    assert not store.root.exists()


def test_names_are_taken_in_any_case(store: Store) -> None:
    store.write(manifest("Baichuan2-7B-Chat"))
    assert store.names() == ["baichuan2-7b-chat"]
    assert store.folder("BAICHUAN2-7b-chat") == store.root / "baichuan2-7b-chat"
    by_hand = store.root / "My-Tune"
    by_hand.mkdir()
    assert store.names() == ["baichuan2-7b-chat"]
    (by_hand / "config.json").touch()
    assert store.names() == ["My-Tune", "baichuan2-7b-chat"]
    assert store.folder("my-tune") == by_hand
    (store.root / "my-tune").mkdir()
    assert store.folder("My-Tune") == by_hand
    assert store.folder("my-tune") == store.root / "my-tune"


def test_a_folder_that_was_renamed_has_its_new_name(store: Store) -> None:
    store.write(manifest())
    store.folder("model").rename(store.root / "other")
    found = store.read("other")
    assert found is not None
    assert found.name == "other"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/etc", ".hidden", ".locks", "-rf", "a\\b", "a b", "a\n", "名", "x" * 97, "a."],
)
def test_names_that_could_lead_out_are_refused(store: Store, name: str) -> None:
    for action in (store.folder, store.read, store.remove, lambda name: store.write(manifest(name))):
        with pytest.raises(BcliError) as caught:
            action(name)
        assert caught.value.message == f"{name!r} cannot be the name of a model."
    assert not store.root.exists()


@given(st.text(alphabet=st.sampled_from("aB0._-/\\ \n~名"), max_size=8))
def test_a_name_is_one_part_below_the_root(name: str) -> None:
    try:
        checked = check_store_name(name)
    except BcliError:
        return
    assert Path("/root", checked).resolve().parent == Path("/root")
    assert checked not in (".locks", ".trash")


@given(st.text(alphabet=st.sampled_from("ab./\\ \n\0~"), max_size=10))
def test_a_path_inside_stays_inside(path: str) -> None:
    if is_inside(path):
        joined = Path("/root", path)
        assert joined.resolve() == joined
        assert Path("/root") in joined.parents
        assert joined.relative_to("/root").as_posix() == path


def test_remove_takes_the_files_and_nothing_behind_links(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    store.write(manifest())
    (store.folder("model") / "link").symlink_to(precious)
    (store.root / "linked").symlink_to(precious)
    (precious / "config.json").touch()
    store.remove("model")
    store.remove("LINKED")
    assert store.names() == []
    assert sorted(path.name for path in precious.iterdir()) == ["config.json", "file"]


def test_a_trash_that_is_a_link_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    store.write(manifest())
    (store.root / ".trash").symlink_to(tmp_path / "precious")
    with pytest.raises(BcliError, match="is a symbolic link"):
        store.remove("model")
    assert store.names() == ["model"]
    assert (tmp_path / "precious" / "file").exists()


def test_removing_what_is_not_there(store: Store) -> None:
    with pytest.raises(BcliError) as caught:
        store.remove("model")
    assert (caught.value.message, caught.value.exit_code) == ("model is not in the store.", ExitCode.NOT_FOUND)


def killed(thing: str) -> list[dict[str, object]]:
    result = subprocess.run([sys.executable, str(KILLED), thing], capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_kill_at_any_step_of_a_removal_leaves_the_model_whole_or_gone() -> None:
    found = killed("remove")
    assert {(bool(step["names"]), step["files"], step["record"]) for step in found} == {
        (True, 8, "old"),
        (False, 0, None),
    }
    assert Counter(step["killed"] for step in found) == {True: len(found) - 1, False: 1}
    assert len(found) > 20
    assert all(step["precious"] == "stays" for step in found)
    assert all(step["after"] == [".locks", ".locks/model", ".trash"] for step in found)


def test_a_kill_at_any_step_of_a_write_leaves_the_old_record_or_the_new() -> None:
    found = killed("write")
    assert {step["record"] for step in found} == {"old", "new"}
    assert all(step["names"] == ["model"] for step in found)
    assert len(found) > 5
    assert all(step["after"] == [".locks", ".locks/model", ".trash"] for step in found)


def test_the_lock_removes_what_a_killed_writer_left(store: Store) -> None:
    store.write(manifest())
    unfinished = store.folder("model") / f".{FILE_NAME}.abc.bcli-new"
    unfinished.touch()
    with store.lock("model"):
        assert not unfinished.exists()


def test_two_processes_do_not_change_a_model_at_once(store: Store) -> None:
    store.write(manifest())
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BcliError) as caught:
            store.remove("Model")
        assert caught.value.message == "Another bcli is downloading or changing model."
        assert store.names() == ["model"]
        with store.lock("another"):
            pass
        holder.kill()
        holder.wait()
    store.remove("model")
    assert store.names() == []


def test_size_follows_links_to_files_and_passes_over_dead_ones(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    (blobs / "a").write_bytes(bytes(1000))
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b").write_bytes(bytes(10))
    (folder / "a").symlink_to(blobs / "a")
    (folder / "dead").symlink_to(blobs / "gone")
    (folder / "blobs").symlink_to(blobs)
    assert size_on_disk(folder) == 1010
    assert size_on_disk(tmp_path / "nowhere") == 0


def test_a_record_survives_the_way_to_the_disk(store: Store) -> None:
    written = store.write(
        manifest(
            repository="org/Name",
            revision="c" * 40,
            files={"a.bin": FileRecord(size=3, sha256="0" * 64), "b/c.json": FileRecord(size=0)},
            patches={"t.py": FileRecord(size=1, sha256="1" * 64)},
        )
    )
    assert store.read("model") == written
    assert written.updated >= written.created
    assert list(written.expected()) == ["a.bin", "b/c.json", "t.py"]
