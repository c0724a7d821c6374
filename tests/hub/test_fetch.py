"""One file, and everything that can go wrong while it comes."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.fetch import fetch_file, unfinished_path
from baichuan_cli.hub.hugging_face import HuggingFace
from baichuan_cli.hub.manifest import FileRecord
from baichuan_cli.hub.patience import StoppedError
from baichuan_cli.hub.source import Listing, RemoteFile, SourceError
from fakes.hub import FakeHub, Fault, sha256

CONTENT = random.Random(1).randbytes(1_000_000)
HALF = len(CONTENT) // 2
NAME = "org/model"
FILE = "model.safetensors"


class Watcher:
    """Keep what a listener hears."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.problems: list[str] = []
        self.done: list[str] = []

    def position(self, file: RemoteFile, byte: int) -> None:
        self.positions.append(byte)

    def again(self, file: RemoteFile, problem: str) -> None:
        self.problems.append(problem)

    def finished(self, file: RemoteFile) -> None:
        self.done.append(file.path)


class Fetching:
    """One file of a fake repository, and a folder to fetch it into."""

    def __init__(self, hub: FakeHub, folder: Path, content: bytes = CONTENT, **listed: object) -> None:
        hub.add(NAME, {FILE: content}, listed={FILE: listed})
        self.source = HuggingFace(NAME)
        self.listing: Listing = self.source.list_files(None)
        [self.file] = self.listing.files
        self.folder = folder
        self.watcher = Watcher()
        self.stop = threading.Event()

    def __call__(self) -> FileRecord:
        return fetch_file(self.source, self.listing, self.file, self.folder, self.watcher, self.stop)

    @property
    def partial(self) -> Path:
        return unfinished_path(self.folder / FILE, self.listing, self.file)

    def check(self, content: bytes = CONTENT) -> None:
        """Make sure that the file is there, and nothing else."""
        assert (self.folder / FILE).read_bytes() == content
        assert [path.name for path in self.folder.iterdir()] == [FILE]
        assert self.watcher.done == [FILE]


@pytest.fixture
def fetching(hub: FakeHub, tmp_path: Path) -> Fetching:
    return Fetching(hub, tmp_path)


def test_a_file_comes_whole_and_hashed(hub: FakeHub, fetching: Fetching) -> None:
    assert fetching() == FileRecord(size=len(CONTENT), sha256=sha256(CONTENT))
    fetching.check()
    assert hub.fetched(FILE) == [""]
    assert fetching.watcher.positions[0] == 0
    assert fetching.watcher.positions[-1] == len(CONTENT)


def test_what_is_there_is_not_fetched_again(hub: FakeHub, fetching: Fetching) -> None:
    fetching.partial.write_bytes(CONTENT[:HALF])
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == [f"bytes={HALF}-"]


def test_an_unfinished_file_that_is_whole_costs_no_request(hub: FakeHub, fetching: Fetching) -> None:
    fetching.partial.write_bytes(CONTENT)
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == []


def test_an_unfinished_file_that_is_too_long_starts_again(hub: FakeHub, fetching: Fetching) -> None:
    fetching.partial.write_bytes(CONTENT + b"more")
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == [""]


def test_an_unfinished_file_of_another_version_is_not_continued(hub: FakeHub, fetching: Fetching) -> None:
    other = fetching.partial.with_name(f"{FILE}.0123456789ab.incomplete")
    other.write_bytes(b"x" * HALF)
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == [""]


def test_what_is_on_its_way_to_another_file_stays(fetching: Fetching) -> None:
    index = fetching.partial.with_name(f"{FILE}.index.json.0123456789ab.incomplete")
    index.write_bytes(b"{")
    fetching()
    assert index.exists()


@pytest.mark.parametrize(
    ("fault", "ranges"),
    [
        (Fault(cut_after=HALF), ["", f"bytes={HALF}-"]),
        (Fault(cut_after=0), ["", ""]),
        (Fault(short_by=1000), ["", f"bytes={len(CONTENT) - 1000}-"]),
        (Fault(no_length=True), [""]),
        (Fault(no_length=True, cut_after=HALF), ["", f"bytes={HALF}-"]),
        (Fault(status=429, headers={"Retry-After": "0"}), ["", ""]),
        (Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), ["", ""]),
        (Fault(status=500), ["", ""]),
        (Fault(status=416), ["", ""]),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else repr(value)[:0],
)
def test_a_fault_on_the_way_is_got_over(hub: FakeHub, fetching: Fetching, fault: Fault, ranges: list[str]) -> None:
    hub.faults[FILE] = [fault]
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == ranges


def test_a_connection_that_is_reset_goes_on(hub: FakeHub, fetching: Fetching) -> None:
    hub.faults[FILE] = [Fault(cut_after=HALF, reset=True)]
    fetching()
    fetching.check()


def test_a_server_that_ignores_ranges_starts_over(hub: FakeHub, fetching: Fetching) -> None:
    hub.always[FILE] = Fault(ignore_range=True)
    hub.faults[FILE] = [Fault(cut_after=HALF)]
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == ["", f"bytes={HALF}-"]


@pytest.mark.parametrize("fault", [Fault(status=416), Fault(wrong_range=True)], ids=["416", "wrong range"])
def test_a_server_that_refuses_to_resume_starts_over(hub: FakeHub, fetching: Fetching, fault: Fault) -> None:
    hub.faults[FILE] = [Fault(cut_after=HALF), fault]
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == ["", f"bytes={HALF}-", ""]


def test_many_breaks_are_fine_as_long_as_bytes_come(hub: FakeHub, fetching: Fetching) -> None:
    hub.faults[FILE] = [Fault(cut_after=60_000)] * 16
    fetching()
    fetching.check()
    assert len(hub.fetched(FILE)) == 17


def test_without_a_new_byte_it_gives_up_and_keeps_what_came(hub: FakeHub, fetching: Fetching) -> None:
    hub.faults[FILE] = [Fault(cut_after=HALF)] + [Fault(status=502)] * 6
    with pytest.raises(SourceError) as caught:
        fetching()
    assert caught.value.message == (
        "model.safetensors did not come from huggingface: the server answered 502 Bad Gateway, 6 times in a row."
    )
    assert fetching.partial.read_bytes() == CONTENT[:HALF]
    fetching()
    fetching.check()


def test_a_server_that_ignores_ranges_and_always_breaks_is_given_up(hub: FakeHub, fetching: Fetching) -> None:
    hub.always[FILE] = Fault(ignore_range=True, cut_after=HALF)
    with pytest.raises(SourceError, match="6 times in a row"):
        fetching()


def test_a_long_wait_is_not_waited(hub: FakeHub, fetching: Fetching) -> None:
    hub.faults[FILE] = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError) as caught:
        fetching()
    assert caught.value.message == (
        "model.safetensors did not come from huggingface: "
        "the server answered 429 Too Many Requests and asks to wait 3,600 seconds."
    )


def test_wrong_bytes_are_fetched_once_more(hub: FakeHub, fetching: Fetching) -> None:
    hub.faults[FILE] = [Fault(wrong_byte=HALF)]
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == ["", ""]
    [problem] = fetching.watcher.problems
    assert problem.startswith("its SHA-256 is ")
    assert problem.endswith(f", not {sha256(CONTENT)}")


def test_a_damaged_part_from_earlier_is_fetched_once_more(hub: FakeHub, fetching: Fetching) -> None:
    fetching.partial.write_bytes(bytes(HALF))
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == [f"bytes={HALF}-", ""]


def test_wrong_bytes_twice_are_reported_and_not_kept(hub: FakeHub, fetching: Fetching) -> None:
    hub.always[FILE] = Fault(wrong_byte=0)
    with pytest.raises(BcliError) as caught:
        fetching()
    assert caught.value.message.startswith("model.safetensors from huggingface arrived damaged twice: its SHA-256 is ")
    assert caught.value.exit_code == ExitCode.INVALID
    assert list(fetching.folder.iterdir()) == []


def test_small_files_are_checked_by_git_s_own_hash(hub: FakeHub, tmp_path: Path) -> None:
    fetching = Fetching(hub, tmp_path, b'{"a": 1}')
    assert fetching.file.sha256 is None
    hub.faults[FILE] = [Fault(wrong_byte=2)]
    fetching()
    fetching.check(b'{"a": 1}')
    assert fetching.watcher.problems[0].startswith("its git SHA-1 is ")


def test_an_empty_file_is_a_file(hub: FakeHub, tmp_path: Path) -> None:
    fetching = Fetching(hub, tmp_path, b"")
    fetching()
    fetching.check(b"")


def test_an_unknown_size_is_no_obstacle(hub: FakeHub, tmp_path: Path) -> None:
    content = b"small"
    fetching = Fetching(hub, tmp_path, content, size=None)
    assert fetching.file.size is None
    assert fetching() == FileRecord(size=5, sha256=sha256(content))
    fetching.check(content)


def test_a_file_that_is_longer_than_promised_does_not_fill_the_disk(hub: FakeHub, tmp_path: Path) -> None:
    fetching = Fetching(hub, tmp_path, b"x" * 4000, size=100)
    hub.repositories[NAME].files[FILE] = b"x" * 2_000_000
    with pytest.raises(BcliError, match="arrived damaged twice"):
        fetching()
    assert max(fetching.watcher.positions) < 300_000


FAULTS = st.builds(
    Fault,
    status=st.sampled_from([0, 0, 0, 0, 416, 429, 500, 503]),
    cut_after=st.none() | st.integers(0, len(CONTENT)),
    reset=st.booleans(),
    short_by=st.sampled_from([0, 0, 1, 300_000]),
    no_length=st.booleans(),
    ignore_range=st.booleans(),
    wrong_range=st.booleans(),
)


@given(faults=st.lists(FAULTS, max_size=5), there=st.integers(0, len(CONTENT)), sound=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_file_is_right_in_the_end(
    hub: FakeHub, tmp_path_factory: pytest.TempPathFactory, faults: list[Fault], there: int, sound: bool
) -> None:
    fetching = Fetching(hub, tmp_path_factory.mktemp("any"))
    fetching.partial.write_bytes(CONTENT[:there] if sound else bytes(there))
    hub.faults[FILE] = list(faults)
    fetching()
    fetching.check()


def test_a_stop_keeps_what_came(hub: FakeHub, fetching: Fetching) -> None:
    hub.always[FILE] = Fault(bytes_per_second=5_000_000)

    def stop_halfway(file: RemoteFile, byte: int) -> None:
        if byte >= HALF:
            fetching.stop.set()

    fetching.watcher.position = stop_halfway  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        fetching()
    assert HALF <= fetching.partial.stat().st_size < len(CONTENT)
    assert not (fetching.folder / FILE).exists()


def test_a_full_disk_is_the_disk_s_error(fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("baichuan_cli.hub.fetch._Written.add", full)
    with pytest.raises(OSError, match="No space left"):
        fetching()


def test_a_token_is_shown_to_the_hub_and_to_nobody_else(
    hub: FakeHub, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repositories[NAME].token = "hf_secret"
    hub.tokens.clear()
    fetching()
    fetching.check()
    assert hub.tokens == [("127.0.0.1", "Bearer hf_secret"), ("localhost", "")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed_with_the_range(hub: FakeHub, fetching: Fetching, status: int) -> None:
    fetching.partial.write_bytes(CONTENT[:1000])
    hub.faults[FILE] = [Fault(status=status, headers={"Location": f"/cdn/{NAME}/{FILE}"})]
    fetching()
    fetching.check()
    assert hub.fetched(FILE) == ["bytes=1000-"] * 2


def test_a_gated_repository_says_what_to_do(hub: FakeHub, fetching: Fetching) -> None:
    hub.repositories[NAME].token = "hf_secret"
    with pytest.raises(SourceError) as caught:
        fetching()
    assert caught.value.message == (
        "model.safetensors did not come from huggingface: the repository org/model is gated and asks who you are."
    )
    assert caught.value.hint == (
        f"Accept its terms at {hub.endpoint}/org/model, then log in with `hf auth login` or set HF_TOKEN."
    )
