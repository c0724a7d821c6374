"""What a person types after `--model`, and which files it ends at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.errors import BcliError, ExitCode
from catalog.checkpoint_folder import Folder
from catalog.conftest import MakeFolder


@pytest.fixture
def copy(make_folder: MakeFolder) -> Folder:
    folder = make_folder("baichuan-13b")
    folder.write_safetensors()
    return folder


def test_a_folder_by_its_path(copy: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    model = resolve_model(str(copy.path))
    assert (model.path, model.facts_from) == (copy.path, "files")
    assert require_local(model) == copy.path
    monkeypatch.chdir(copy.path.parent)
    assert resolve_model("model").path == resolve_model("./model").path == Path("model")


def test_a_folder_without_a_model_does_not_hide_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    path = resolve_model("demo").path
    assert path is not None
    assert path.is_absolute()


@pytest.mark.parametrize("name", ["demo", "demo-alibi"])
def test_a_bundled_model(name: str) -> None:
    model = resolve_model(name)
    assert (model.name, model.facts_from, model.chat_family) == (name, "files", "baichuan2")
    assert model.architecture.position_embedding == ("alibi" if name == "demo-alibi" else "rope")
    assert model.weight_bytes < 12e6


def test_a_name_without_files_is_enough_to_plan_with_but_not_to_load() -> None:
    model = resolve_model("Baichuan2-13B-Chat")
    assert (model.name, model.path, model.facts_from) == ("baichuan2-13b-chat", None, "catalogue")
    with pytest.raises(BcliError) as caught:
        require_local(model)
    assert caught.value.message == "baichuan2-13b-chat is not on this machine."
    assert caught.value.hint == (
        "Download it: bcli download baichuan2-13b-chat\n"
        "If you have it already, give its folder: --model PATH\n"
        "Other places to get it: bcli models show baichuan2-13b-chat"
    )
    assert caught.value.exit_code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("folder_name", ["Baichuan-13B-Chat", "baichuan-13b-chat"])
def test_a_name_in_the_local_store(copy: Folder, isolation: Path, folder_name: str) -> None:
    stored = isolation / "data" / "models" / folder_name
    shutil.copytree(copy.path, stored)
    model = resolve_model("baichuan-inc/Baichuan-13B-Chat")
    assert (model.name, model.path, model.facts_from) == ("baichuan-13b-chat", stored, "files")


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"])
def test_a_name_in_the_hugging_face_cache(
    copy: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    inside = {"HF_HOME": "hub", "HF_HUB_CACHE": ".", "XDG_CACHE_HOME": "huggingface/hub"}[variable]
    repository = tmp_path / "cache" / inside / "models--baichuan-inc--Baichuan-13B-Chat"
    for commit in ("aaaa", "bbbb"):
        shutil.copytree(copy.path, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("aaaa")
    assert resolve_model("baichuan-13b-chat").path == repository / "snapshots" / "aaaa"
    shutil.rmtree(repository / "snapshots" / "aaaa")
    assert resolve_model("baichuan-13b-chat").path == repository / "snapshots" / "bbbb"
    (repository / "snapshots" / "bbbb" / "model.safetensors").unlink()
    assert resolve_model("baichuan-13b-chat").path is None  # only its configuration was ever fetched


@pytest.mark.parametrize("main", [b"\xff\xfe", b"a" * 5000, b"../../../bbbb"])
def test_a_damaged_cache_does_no_harm(copy: Folder, isolation: Path, main: bytes) -> None:
    repository = isolation / "huggingface" / "hub" / "models--baichuan-inc--Baichuan-13B-Chat"
    shutil.copytree(copy.path, repository / "snapshots" / "aaaa")
    (repository / "snapshots" / "dangling").symlink_to("nowhere")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_bytes(main)
    assert resolve_model("baichuan-13b-chat").path == repository / "snapshots" / "aaaa"


def test_a_damaged_copy_is_named_and_not_passed_over(copy: Folder, isolation: Path) -> None:
    stored = isolation / "data" / "models" / "baichuan-13b-chat"
    shutil.copytree(copy.path, stored)
    (stored / "model.safetensors").write_bytes(b"")
    with pytest.raises(BcliError, match="model.safetensors is empty"):
        resolve_model("baichuan-13b-chat")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("./nowhere", "There is no folder nowhere."),
        ("/no/such/folder", "There is no folder /no/such/folder."),
        ("models/x/y", "There is no folder models/x/y."),
        ("someone/baichuan2-7b-chatt", "There is no model 'someone/baichuan2-7b-chatt'. Did you mean"),
        ("llama", "There is no model 'llama'."),
    ],
)
def test_what_there_is_not(typed: str, message: str) -> None:
    with pytest.raises(BcliError) as caught:
        resolve_model(typed)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == ExitCode.NOT_FOUND
