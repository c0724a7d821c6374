"""Where files come from beside the Hugging Face hub, and which source is taken."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.schema import Entry
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.fetch import fetch_file, unfinished_path
from baichuan_cli.hub.folder import Folder
from baichuan_cli.hub.git_server import GitServer
from baichuan_cli.hub.hugging_face import HuggingFace
from baichuan_cli.hub.manifest import FileRecord, Manifest, write_manifest
from baichuan_cli.hub.modelscope import ModelScope
from baichuan_cli.hub.source import Listing, RemoteFile, Source, SourceError
from baichuan_cli.hub.sources import first_answer, places_of, sources_of
from fakes.git_server import FakeGitServer, running_git_server
from fakes.hub import COMMIT, FakeHub, Fault, git_sha1, sha256

NAME = "baichuan-inc/Baichuan-7B"
FILES = {"config.json": b'{"a": 1}', "pytorch_model.bin": b"weights" * 2000, "sub/notes.txt": b"more"}
WEIGHTS = "pytorch_model.bin"


class Ears:
    """Hear nothing but problems."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def position(self, file: RemoteFile, byte: int) -> None:
        pass

    def again(self, file: RemoteFile, problem: str) -> None:
        self.problems.append(problem)

    def finished(self, file: RemoteFile) -> None:
        pass


def fetch_all(source: Source, listing: Listing, folder: Path) -> dict[str, bytes]:
    for file in listing.files:
        fetch_file(source, listing, file, folder, Ears(), threading.Event())
    return {file.path: (folder / file.path).read_bytes() for file in listing.files}


def entry(name: str = "baichuan-7b") -> Entry:
    found = load_catalogue().get(name)
    assert isinstance(found, Entry)
    return found


def test_the_hub_lists_sizes_and_hashes_at_a_pinned_commit(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(NAME, FILES)
    source = HuggingFace(NAME)
    listing = source.list_files(None)
    assert listing == Listing(
        NAME,
        COMMIT,
        (
            RemoteFile("config.json", 8, git_sha1=git_sha1(FILES["config.json"])),
            RemoteFile(WEIGHTS, 14_000, sha256=sha256(FILES[WEIGHTS])),
            RemoteFile("sub/notes.txt", 4, git_sha1=git_sha1(b"more")),
        ),
    )
    assert source.list_files(COMMIT) == listing
    assert fetch_all(source, listing, tmp_path) == FILES


def test_modelscope_lists_and_gives_files(hub: FakeHub, tmp_path: Path) -> None:
    hub.add("baichuan-inc/baichuan-7B", FILES)
    source = ModelScope("baichuan-inc/baichuan-7B")
    listing = source.list_files(None)
    assert listing.revision == COMMIT
    assert listing.files[1] == RemoteFile(WEIGHTS, 14_000, sha256=sha256(FILES[WEIGHTS]))
    assert fetch_all(source, listing, tmp_path) == FILES


def test_modelscope_resumes_and_shows_its_token(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-secret")
    hub.add(NAME, FILES)
    source = ModelScope(NAME)
    listing = source.list_files(None)
    hub.faults[WEIGHTS] = [Fault(cut_after=9000)]
    assert fetch_all(source, listing, tmp_path) == FILES
    assert hub.fetched(WEIGHTS) == ["", "bytes=9000-"]
    assert {token for _, token in hub.tokens} == {"Bearer ms-secret"}


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"Data": {"Files": [{}]}}', b'{"Data": null}'])
def test_modelscope_s_nonsense_is_named(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr("baichuan_cli.hub.modelscope.read_all", lambda *_: answer)
    with pytest.raises(SourceError, match=r"Its answer makes no sense\."):
        ModelScope(NAME).list_files(None)


@pytest.fixture
def git_server(tmp_path: Path) -> FakeGitServer:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    with running_git_server(tmp_path / "served") as running:
        yield running


def test_a_git_server_gives_the_tree_by_git_and_large_files_by_lfs(git_server: FakeGitServer, tmp_path: Path) -> None:
    commit = git_server.add("Baichuan-7B", FILES)
    source = GitServer(f"{git_server.address}/Baichuan-7B")
    listing = source.list_files(None)
    assert listing.revision == commit
    assert {file.path: (file.size, file.sha256) for file in listing.files} == {
        "config.json": (8, None),
        WEIGHTS: (14_000, sha256(FILES[WEIGHTS])),
        "sub/notes.txt": (4, None),
    }
    assert fetch_all(source, listing, tmp_path / "here") == FILES
    assert source.list_files("main") == listing


def test_a_large_file_of_a_git_server_is_resumed(git_server: FakeGitServer, tmp_path: Path) -> None:
    git_server.add("Baichuan-7B", FILES)
    source = GitServer(f"{git_server.address}/Baichuan-7B")
    listing = source.list_files(None)
    weights = next(file for file in listing.files if file.path == WEIGHTS)
    unfinished_path(tmp_path / WEIGHTS, listing, weights).write_bytes(FILES[WEIGHTS][:5000])
    assert fetch_all(source, listing, tmp_path) == FILES
    assert git_server.asked == [(sha256(FILES[WEIGHTS]), "bytes=5000-")]


def test_a_git_server_s_refusals_are_told(git_server: FakeGitServer, tmp_path: Path) -> None:
    git_server.add("Baichuan-7B", FILES)
    with pytest.raises(SourceError, match="^Git failed "):
        GitServer(f"{git_server.address}/Baichuan-8B").list_files(None)
    with pytest.raises(SourceError, match="^Git failed "):
        GitServer(f"{git_server.address}/Baichuan-7B").list_files("v9")
    source = GitServer(f"{git_server.address}/Baichuan-7B")
    listing = source.list_files(None)
    git_server.objects.clear()
    with pytest.raises(SourceError, match="it does not give pytorch_model.bin"):
        fetch_all(source, listing, tmp_path)


def test_large_files_in_git_itself_are_left_to_other_sources(
    git_server: FakeGitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baichuan_cli.hub.git_server._LARGEST_BLOB", 500)
    git_server.add("Baichuan-7B", {"config.json": b"{}", "pytorch_model.bin": b"x" * 900})
    with pytest.raises(SourceError, match=r"keeps pytorch_model\.bin in git itself"):
        GitServer(f"{git_server.address}/Baichuan-7B").list_files(None)


def test_a_git_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/Baichuan-7B"
        monkeypatch.setattr("baichuan_cli.hub.git_server._SILENCE_SECONDS", 1)
        with pytest.raises(SourceError, match=r"^Git failed \(.*[Tt]oo slow"):
            GitServer(address).list_files(None)
        monkeypatch.setattr("baichuan_cli.hub.git_server._SECONDS", 0.5)
        with pytest.raises(SourceError, match=r"^Git did not finish within 0.5 seconds\.$"):
            GitServer(address).list_files(None)


def test_without_git_the_git_server_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SourceError, match=r"Git is not installed\."):
        GitServer("http://127.0.0.1:1/x").list_files(None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        file = tmp_path / "disk" / NAME / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "disk"


def test_a_folder_is_found_below_a_tree(tree: Path, tmp_path: Path) -> None:
    for place in (str(tree), tree.as_uri(), str(tree / NAME)):
        source = Folder(place, ("Baichuan-7B", NAME))
        listing = source.list_files(None)
        assert listing.repository == str(tree / NAME)
    small = tuple(file for file in listing.files if file.path != WEIGHTS)
    assert fetch_all(source, Listing(listing.repository, "", small), tmp_path / "here") == {
        file.path: FILES[file.path] for file in small
    }


def test_the_revision_of_a_folder_stands_for_its_files(tree: Path) -> None:
    def revision() -> str:
        return Folder(str(tree / NAME), ()).list_files(None).revision

    first = revision()
    (tree / NAME / ".hidden").write_bytes(b"not fetched")
    assert revision() == first
    os.utime(tree / NAME / WEIGHTS, (1, 1))
    assert revision() != first


def test_a_folder_that_bcli_made_tells_the_hashes_of_its_files(tree: Path, tmp_path: Path) -> None:
    known = FileRecord(size=len(FILES[WEIGHTS]), sha256=sha256(FILES[WEIGHTS]))
    manifest = Manifest(name="x", source="huggingface", files={WEIGHTS: known}, state="complete")
    write_manifest(tree / NAME, manifest)
    source = Folder(str(tree / NAME), ())
    listing = source.list_files(None)
    [file] = [file for file in listing.files if file.sha256]
    assert file == RemoteFile(WEIGHTS, known.size, sha256=known.sha256)
    (tree / NAME / WEIGHTS).write_bytes(FILES[WEIGHTS][:-1] + b"?")  # a bad disk
    with pytest.raises(BcliError, match="pytorch_model.bin from folder arrived damaged twice: its SHA-256 is"):
        fetch_file(source, listing, file, tmp_path / "here", Ears(), threading.Event())
    write_manifest(tree / NAME, manifest.model_copy(update={"state": "partial"}))
    assert not any(file.sha256 for file in source.list_files(None).files)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", b'{"a": ', "it is damaged: Expecting value in line 1"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "it is a git-lfs pointer of 43 bytes"),
        ("model.safetensors", b"\xff" * 100, "it is no whole safetensors file"),
        ("pytorch_model.bin", b"PK\3\4 cut short", "it is cut short or damaged"),
        ("tokenizer.model", b"", "it is empty"),
    ],
)
def test_files_without_a_hash_are_looked_into(
    tree: Path, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tree / NAME / name).write_bytes(content)
    source = Folder(str(tree / NAME), ())
    listing = source.list_files(None)
    file = next(file for file in listing.files if file.path == name)
    ears = Ears()
    with pytest.raises(BcliError, match="arrived damaged twice"):
        fetch_file(source, listing, file, tmp_path / "here", ears, threading.Event())
    assert ears.problems[0].startswith(problem)


def test_a_folder_without_a_model_and_a_revision_of_a_folder_are_refused(tree: Path) -> None:
    with pytest.raises(SourceError, match="^There is no model in "):
        Folder(str(tree), ("elsewhere",)).list_files(None)
    with pytest.raises(SourceError, match=r"A folder has no revisions\."):
        Folder(str(tree / NAME), ()).list_files("main")


def test_auto_goes_through_the_catalogue_in_its_order() -> None:
    assert [source.name for source in sources_of(places_of(entry()), "auto")] == [
        "huggingface",
        "hf-mirror",
        "modelscope",
        "aimodels",
    ]
    assert [source.name for source in sources_of(places_of(entry("baichuan-7b-gptq")), "auto")] == [
        "huggingface",
        "hf-mirror",
    ]


def test_the_first_that_has_it_is_taken_and_the_others_are_accounted_for(hub: FakeHub) -> None:
    hub.add("baichuan-inc/baichuan-7B", FILES)  # ModelScope's spelling only
    found = first_answer(sources_of(places_of(entry()), "auto"), None, "by hand")
    assert found.source.name == "modelscope"
    reason = f"it has no {NAME}, or shows it only with a token"
    assert found.passed_over == (f"huggingface: {reason}", f"hf-mirror: {reason}")


def test_where_no_source_has_it_every_reason_is_told(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SourceError) as caught:
        first_answer(sources_of(places_of(entry()), "auto"), None, "by hand")
    assert caught.value.message.splitlines() == [
        "No source has it:",
        f"  huggingface: it has no {NAME}, or shows it only with a token",
        f"  hf-mirror: it has no {NAME}, or shows it only with a token",
        "  modelscope: it has no baichuan-inc/baichuan-7B, or shows it only with a token",
        "  aimodels: git is not installed.",
    ]
    assert caught.value.hint == "by hand"


def test_a_hub_that_cannot_be_reached_is_told_at_once(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"^It did not answer \(.*[Cc]onnection refused"):
        HuggingFace(NAME).list_files(None)


def test_a_busy_hub_is_asked_again(hub: FakeHub) -> None:
    hub.add(NAME, FILES)
    hub.api_faults = [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=503)]
    assert len(HuggingFace(NAME).list_files(None).files) == 3


def test_offline_mode_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match=r"HF_HUB_OFFLINE is set\."):
        HuggingFace(NAME).list_files(None)
