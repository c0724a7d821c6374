"""`bcli models ls`, `rm`, `verify`, `path` and `add`, as a person sees them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.cli.completion import complete_model, complete_stored
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.manifest import FILE_NAME, FileRecord, Manifest, State
from baichuan_cli.hub.store import Store, default_store
from catalog.checkpoint_folder import Folder, tensors_of
from cli.in_process import Bcli, Ran, run_bcli


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    """Run `bcli models …` in this process, without a terminal."""

    def run(*arguments: str) -> Ran:
        return run_bcli(("models", *arguments), monkeypatch, capfd)

    return run


@pytest.fixture
def store() -> Store:
    return default_store()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return small_model(tmp_path / "My-Tune")


def small_model(path: Path) -> Path:
    made = Folder(path, "baichuan-7b", vocab_size=256)
    made.write_safetensors()
    return made.path


def baichuan2_7b(path: Path) -> Path:
    """Make a folder of Baichuan2-7B's full shape, whose tensors take no room on the disk."""
    made = Folder(
        path, "baichuan2-7b", hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32
    )
    weights = made.path / "model.safetensors"
    tensors = tensors_of(made.config)
    header: dict[str, object] = {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(weights, 8 + len(text) + end)
    return made.path


def downloaded(store: Store, name: str, state: State = "complete") -> Path:
    folder = small_model(store.root / name)
    files = {
        path.name: FileRecord(size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
    }
    manifest = Manifest(
        name=name, source="hf-mirror", repository=f"org/{name}", revision="84603cd", files=files, state=state
    )
    store.write(manifest)
    return folder


def test_an_empty_store(bcli: Bcli) -> None:
    assert bcli("ls") == Ran(
        0, "", "No models here yet. See what there is: bcli models list\nGet one: bcli download NAME\n"
    )
    assert json.loads(bcli("ls", "--json").stdout) == {"schema": "bcli.store/1", "models": []}


def test_ls_shows_everything_that_is_here(bcli: Bcli, store: Store, elsewhere: Path, isolation: Path) -> None:
    downloaded(store, "baichuan2-7b-chat")
    downloaded(store, "baichuan2-7b-base", "partial")
    damaged = downloaded(store, "baichuan-7b")
    (damaged / FILE_NAME).write_text("{")
    small_model(store.root / "By-Hand")
    bcli("add", str(elsewhere))
    bcli("add", str(small_model(elsewhere.parent / "gone")))
    shutil.rmtree(elsewhere.parent / "gone")
    cache = isolation / "huggingface" / "hub"
    small_model(cache / "models--baichuan-inc--Baichuan-13B-Chat" / "snapshots" / "abc")
    small_model(cache / "models--someone--My-Tune" / "snapshots" / "def")
    other = small_model(cache / "models--someone--other" / "snapshots" / "012")
    (other / "config.json").write_text('{"model_type": "llama"}')
    ran = bcli("ls")
    assert (
        ran.stdout
        == """\
name               size    format       source              state
By-Hand            0.1 MB  safetensors  put there by hand   unchecked
baichuan-7b        0.1 MB  safetensors  unknown             damaged
baichuan2-7b-base  0.1 MB  safetensors  hf-mirror           partial
baichuan2-7b-chat  0.1 MB  safetensors  hf-mirror           complete
gone               0.0 MB  –            registered          missing
my-tune            0.1 MB  safetensors  registered          unchecked
baichuan-13b-chat  0.1 MB  safetensors  Hugging Face cache  unchecked
someone/My-Tune    0.1 MB  safetensors  Hugging Face cache  unchecked
"""
    )
    assert ran.stderr.startswith("warning: The record of baichuan-7b is damaged: ")
    listed = {model["name"]: model for model in json.loads(bcli("ls", "--json").stdout)["models"]}
    assert listed["baichuan2-7b-chat"] == {
        "name": "baichuan2-7b-chat",
        "path": str(store.root / "baichuan2-7b-chat"),
        "bytes": listed["baichuan2-7b-chat"]["bytes"],
        "format": "safetensors",
        "source": "hf-mirror",
        "repository": "org/baichuan2-7b-chat",
        "revision": "84603cd",
        "state": "complete",
        "problem": None,
    }
    assert listed["my-tune"]["path"] == str(elsewhere)


def test_rm_asks_and_refuses_where_it_cannot_ask(bcli: Bcli, store: Store) -> None:
    folder = downloaded(store, "baichuan2-7b-chat")
    assert bcli("rm", "baichuan2-7b-chat") == Ran(
        2,
        "",
        f"baichuan2-7b-chat · 0.1 MB · {folder}\n"
        "error: Remove baichuan2-7b-chat? There is no terminal to ask on.\n"
        "  Say yes beforehand: bcli models rm baichuan2-7b-chat -y\n",
    )
    assert folder.exists()
    ran = bcli("rm", "baichuan-inc/Baichuan2-7B-Chat", "-y")
    assert (ran.code, ran.stdout) == (0, "baichuan2-7b-chat is removed: 0.1 MB\n")
    assert not folder.exists()
    assert list((store.root / ".trash").iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "stays"), [("\n", True), ("n\n", True), ("nope\n", True), ("y\n", False), ("YES\n", False)]
)
def test_rm_on_a_terminal(store: Store, answer: str, stays: bool) -> None:
    folder = downloaded(store, "model")
    terminal, its_end = os.openpty()
    os.write(terminal, answer.encode())
    command = [sys.executable, "-m", "baichuan_cli", "models", "rm", "model"]
    ran = subprocess.run(command, stdin=its_end, stdout=subprocess.PIPE, stderr=its_end, text=True, timeout=60)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    os.close(its_end)
    assert "Remove model? [y/N]" in shown
    assert ("Nothing was removed." in shown) is stays
    assert (ran.returncode, ran.stdout) == (0, "" if stays else "model is removed: 0.1 MB\n")
    assert folder.exists() is stays


def test_rm_forgets_a_registered_folder_and_leaves_its_files(bcli: Bcli, store: Store, elsewhere: Path) -> None:
    before = sorted(elsewhere.iterdir())
    assert bcli("add", str(elsewhere)) == Ran(
        0, f"my-tune is {elsewhere}\n", "Use it by name: bcli generate --model my-tune\n"
    )
    assert resolve_model("My-Tune").path == elsewhere
    assert bcli("rm", "my-tune", "-y") == Ran(
        0,
        f"my-tune is forgotten; its files are still in {elsewhere}\n",
        f"my-tune lies in {elsewhere}. Only its name is forgotten; its files stay.\n",
    )
    assert sorted(elsewhere.iterdir()) == before
    assert store.names() == []


@pytest.mark.parametrize("name", ["nothing", "../../etc", "/etc", ".trash", "baichuan2-7b-chat"])
def test_rm_of_what_is_not_in_the_store(bcli: Bcli, name: str) -> None:
    assert bcli("rm", name, "-y") == Ran(4, "", f"error: {name} is not in the store.\n  See what is: bcli models ls\n")


def test_rm_leaves_the_demos_and_the_hugging_face_cache_alone(bcli: Bcli, isolation: Path) -> None:
    snapshot = isolation / "huggingface" / "hub" / "models--baichuan-inc--Baichuan2-7B-Chat" / "snapshots" / "abc"
    small_model(snapshot)
    assert bcli("rm", "baichuan2-7b-chat", "-y").stderr == (
        f"error: baichuan2-7b-chat is not in the store; it is in {snapshot}, which bcli does not change.\n"
        "  See what is: bcli models ls\n"
    )
    assert bcli("rm", "demo", "-y").code == 4
    assert snapshot.exists()
    assert bcli("path", "demo").code == 0


def test_rm_cleans_up_after_one_that_was_killed(bcli: Bcli, store: Store) -> None:
    small_model(store.root / ".trash" / "old.abc")
    assert bcli("rm", "old", "-y").code == 4
    assert list((store.root / ".trash").iterdir()) == []


def test_verify(bcli: Bcli, store: Store) -> None:
    folder = downloaded(store, "baichuan2-7b-chat")
    assert bcli("verify", "baichuan2-7b-chat") == Ran(
        0, "baichuan2-7b-chat is whole: 3 files checked by SHA-256.\n", ""
    )
    (folder / "mine.txt").touch()
    (folder / "tokenizer.model").unlink()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    size = weights.stat().st_size
    manifest = store.read("baichuan2-7b-chat")
    assert manifest is not None
    assert bcli("verify", "baichuan2-7b-chat") == Ran(
        5,
        "missing  tokenizer.model\n"
        f"changed  model.safetensors: it has {size:,} bytes, not {size - 1:,}\n"
        "extra    mine.txt\n",
        "error: baichuan2-7b-chat is not as it should be: 1 file missing, 1 file changed.\n"
        "  Fetch again what is wrong: bcli download baichuan2-7b-chat\n",
    )
    now = store.read("baichuan2-7b-chat")
    assert now is not None  # what is wrong is out of the record, so that the next download brings it
    assert (now.state, set(manifest.files) - set(now.files)) == ("partial", {"tokenizer.model", "model.safetensors"})
    store.write(manifest)
    assert json.loads(bcli("verify", "baichuan2-7b-chat", "--json").stdout) == {
        "schema": "bcli.verification/1",
        "name": "baichuan2-7b-chat",
        "path": str(folder),
        "passed": False,
        "by_sha256": 1,
        "by_size": 0,
        "missing": ["tokenizer.model"],
        "changed": {"model.safetensors": f"it has {size:,} bytes, not {size - 1:,}"},
        "extra": ["mine.txt"],
        "unsound": None,
    }


def test_verify_of_a_copy_leaves_the_store_alone(bcli: Bcli, store: Store, tmp_path: Path) -> None:
    folder = downloaded(store, "baichuan2-7b-chat")
    copy = tmp_path / "carried"
    shutil.copytree(folder, copy)
    (copy / "tokenizer.model").unlink()
    before = store.read("baichuan2-7b-chat")
    assert bcli("verify", str(copy)).stderr == (
        f"error: {copy} is not as it should be: 1 file missing.\n"
        "  Copy the folder again, or get the model here: bcli download baichuan2-7b-chat\n"
    )
    assert store.read("baichuan2-7b-chat") == before
    assert bcli("verify", "baichuan2-7b-chat").code == 0


def test_verify_of_a_renamed_folder_marks_that_folder(bcli: Bcli, store: Store) -> None:
    downloaded(store, "baichuan2-7b-chat").rename(store.root / "mine")
    (store.root / "mine" / "tokenizer.model").unlink()
    assert "bcli download baichuan2-7b-chat" in bcli("verify", "mine").stderr
    assert store.names() == ["mine"]
    now = store.read("mine")
    assert now is not None
    assert now.state == "partial"


def test_verify_without_a_record_says_so(bcli: Bcli, elsewhere: Path) -> None:
    bcli("add", str(elsewhere))
    assert bcli("verify", "my-tune").stdout == (
        "my-tune is whole: no record says what its files should be, so only their structure was checked.\n"
    )
    (elsewhere / "model.safetensors").write_bytes(b"")
    assert bcli("verify", "my-tune") == Ran(
        5,
        "unsound  model.safetensors is empty.\n",
        "error: my-tune is not as it should be: it cannot be loaded.\n"
        "  What to do about it: bcli models inspect my-tune\n",
    )


def test_a_half_model_is_never_offered(bcli: Bcli, store: Store) -> None:
    folder = downloaded(store, "baichuan2-7b-chat", "partial")
    message = (
        "error: The download of baichuan2-7b-chat is not finished.\n  Go on with it: bcli download baichuan2-7b-chat\n"
    )
    assert bcli("path", "baichuan2-7b-chat") == Ran(5, "", message)
    assert bcli("path", str(folder)) == Ran(5, "", message)
    with pytest.raises(BcliError, match="is not finished"):
        resolve_model(str(folder))
    planned = resolve_model("baichuan2-7b-chat")
    assert (planned.path, planned.facts_from) == (None, "catalogue")
    with pytest.raises(BcliError, match="is not finished"):
        require_local(planned)


def test_a_half_model_does_not_hide_a_whole_one(bcli: Bcli, store: Store, isolation: Path) -> None:
    downloaded(store, "baichuan2-7b-chat", "partial")
    snapshot = isolation / "huggingface" / "hub" / "models--baichuan-inc--Baichuan2-7B-Chat" / "snapshots" / "abc"
    small_model(snapshot)
    assert bcli("path", "baichuan2-7b-chat").stdout == f"{snapshot}\n"


def test_a_registered_folder_that_is_gone(bcli: Bcli, elsewhere: Path) -> None:
    bcli("add", str(elsewhere), "--name", "tune")
    elsewhere.rename(elsewhere.with_name("moved"))
    assert bcli("path", "tune") == Ran(
        4,
        "",
        f"error: tune is registered, but its folder is gone: {elsewhere}\n"
        "  Bring the folder back, or forget it: bcli models rm tune\n",
    )


def test_add_says_what_to_do_about_a_folders_own_name(bcli: Bcli, elsewhere: Path) -> None:
    chinese = small_model(elsewhere.parent / "百川")
    assert bcli("add", str(chinese)).stderr == (
        "error: '百川' cannot be the name of a model.\n"
        f"  Give it one of letters and digits: bcli models add {chinese} --name NAME\n"
    )
    in_gbk = small_model(elsewhere.parent / os.fsdecode("百川".encode("gbk")))
    ran = bcli("add", str(in_gbk), "--name", "tune-2")
    assert (ran.code, ran.stderr.splitlines()[-1]) == (2, "  Rename the folder first.")


def test_add_refuses_a_name_that_is_taken(bcli: Bcli, store: Store, elsewhere: Path) -> None:
    downloaded(store, "tune")
    assert bcli("add", str(elsewhere), "--name", "Tune") == Ran(
        2,
        "",
        f"error: There is a model tune in the store already: {store.root / 'tune'}\n"
        f"  Give this one another name: bcli models add {elsewhere} --name NAME\n"
        "  Or remove the other first: bcli models rm tune\n",
    )
    assert bcli("add", str(store.root / "tune"), "--name", "again").stderr.startswith(
        f"error: {store.root / 'tune'} is in the store already.\n"
    )
    assert bcli("add", str(elsewhere), "--name", "../tune").stderr.startswith("error: '../tune' cannot be the name")
    assert store.names() == ["tune"]


@pytest.mark.parametrize("name", ["demo", "Baichuan2-7B-Chat", "baichuan2-13b-chat-gptq"])
def test_add_does_not_give_a_name_of_the_catalogue_to_another_model(
    bcli: Bcli, store: Store, elsewhere: Path, name: str
) -> None:
    assert bcli("add", str(elsewhere), "--name", name) == Ran(
        2,
        "",
        f"error: The catalogue has a model {name.lower()}, and this folder holds another one.\n"
        f"  Give it a name of its own: bcli models add {elsewhere} --name NAME\n",
    )
    assert store.names() == []


def test_a_folder_elsewhere_can_be_the_model_of_the_catalogue(bcli: Bcli, tmp_path: Path) -> None:
    folder = baichuan2_7b(tmp_path / "Baichuan2-7B-Chat")
    assert bcli("add", str(folder)).stdout == f"baichuan2-7b-chat is {folder}\n"
    model = resolve_model("baichuan-inc/Baichuan2-7B-Chat")
    assert (model.name, model.path, model.facts_from) == ("baichuan2-7b-chat", folder, "files")


def test_add_wants_a_whole_checkpoint(bcli: Bcli, store: Store, tmp_path: Path) -> None:
    assert bcli("add", str(tmp_path / "nowhere")).code == 4
    assert bcli("add", str(tmp_path)).code == 4
    assert store.names() == []


def test_add_refuses_half_a_download(bcli: Bcli, store: Store, tmp_path: Path) -> None:
    half = downloaded(Store(tmp_path / "other-store"), "half", "partial")
    assert bcli("add", str(half)).stderr.startswith("error: The download of half is not finished.\n")
    assert store.names() == []


def test_completion_offers_what_is_in_the_store(bcli: Bcli, store: Store, elsewhere: Path) -> None:
    bcli("add", str(elsewhere))
    downloaded(store, "baichuan2-7b-chat")
    assert complete_stored("") == ["baichuan2-7b-chat", "my-tune"]
    assert complete_stored("MY") == ["my-tune"]
    assert complete_model("my") == ["my-tune"]
    assert complete_model("baichuan2-7b-chat") == [
        "baichuan2-7b-chat",
        "baichuan2-7b-chat-gptq-int4",
        "baichuan2-7b-chat-4bits",
    ]
