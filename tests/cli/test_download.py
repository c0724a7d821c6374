"""`bcli download` as a whole: what a person, a pipe and a program get to see, and what lies in the store then."""

from __future__ import annotations

import io
import json
import os
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from baichuan_cli.catalog.find_folder import find_folder
from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.cli.download_progress import listening
from baichuan_cli.cli.output import Output
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hardware.detect import detect
from baichuan_cli.hub import bring
from baichuan_cli.hub.source import RemoteFile
from baichuan_cli.hub.store import default_store
from baichuan_cli.sizes import GIB
from cli.in_process import Bcli, Ran, run_bcli
from fakes.hub import COMMIT, FakeHub, Fault, sha256

FILES = {path.name: path.read_bytes() for path in sorted(demo_path("demo").iterdir()) if path.is_file()}
WEIGHTS = "model.safetensors"
SIZE = sum(map(len, FILES.values()))


@pytest.fixture
def hub(hub: FakeHub) -> FakeHub:
    """Give the hub Baichuan-7B: the demo's files, which have its architecture, and what is not needed of it."""
    hub.add("baichuan-inc/Baichuan-7B", {**FILES, "tf_model.h5": b"no", ".gitattributes": b"no"})
    return hub


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], isolation: Path) -> Bcli:
    """Run bcli in this process, on a machine with 24 GiB of memory and a disk with 100 GB free."""
    monkeypatch.setattr("baichuan_cli.cli.planning._release", _release)
    monkeypatch.setattr("baichuan_cli.hardware.host._cpu_flags", lambda _: frozenset({"avx512f", "avx512_bf16"}))
    monkeypatch.setattr("baichuan_cli.hardware.host._physical_memory", lambda _: 24 * GIB)
    monkeypatch.setattr("baichuan_cli.hardware.host._memory_limits", lambda _: [])
    usage = namedtuple("usage", "total used free")(200 * 10**9, 100 * 10**9, 100 * 10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def run(*arguments: str) -> Ran:
        code, *streams = run_bcli(("download", *arguments), monkeypatch, capfd)
        return Ran(code, *(stream.replace(str(isolation), "HOME") for stream in streams))

    return run


def _release(wanted: str | None) -> object:
    from baichuan_cli.plan.release import Release

    return Release.parse(wanted or "0.32.0")


HEADLINE = f"baichuan-inc/Baichuan-7B @ {COMMIT[:7]} · 8.7 MB in 7 files · from huggingface\n"
DISK = "disk    8.7 MB needed, 100.0 GB free in HOME/data/models\n"
MEMORY = "memory  cpu profile, bfloat16: 13.0 GiB weights + 2.0 GiB KV (4,096 tokens), fits\n"
FOLDER = "HOME/data/models/baichuan-7b\n"

DRY_RUN = f"""\
{HEADLINE}{DISK}{MEMORY}
file                     size          here
special_tokens_map.json  96 bytes      –
generation_config.json   189 bytes     –
tokenizer_config.json    284 bytes     –
config.json              467 bytes     –
training_report.json     4,345 bytes   –
tokenizer.model          45,003 bytes  –
model.safetensors        8.7 MB        –
left out: tf_model.h5, .gitattributes
"""

BY_FILE = f"""\
{HEADLINE}{DISK}{MEMORY}special_tokens_map.json  96 bytes  (6 to go)
generation_config.json  189 bytes  (5 to go)
tokenizer_config.json  284 bytes  (4 to go)
config.json  467 bytes  (3 to go)
training_report.json  4,345 bytes  (2 to go)
tokenizer.model  45,003 bytes  (1 to go)
model.safetensors  8.7 MB
checked 7 files (4 by git sha1, 3 by sha256) · bcli generate --model baichuan-7b
"""


def test_a_dry_run_moves_nothing(bcli: Bcli, hub: FakeHub, isolation: Path) -> None:
    assert bcli("baichuan-7b", "--dry-run") == Ran(0, DRY_RUN, "")
    assert hub.requests == []
    assert not (isolation / "data").exists()


def test_a_download_says_a_line_a_file_and_prints_the_folder(bcli: Bcli, hub: FakeHub, isolation: Path) -> None:
    assert bcli("Baichuan-7B", "--max-workers", "1") == Ran(0, FOLDER, BY_FILE)
    folder = isolation / "data/models/baichuan-7b"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")} == FILES


def test_what_was_downloaded_is_in_the_store_and_loads_by_name(bcli: Bcli, hub: FakeHub) -> None:
    bcli("baichuan-7b")
    manifest = default_store().read("baichuan-7b")
    assert manifest is not None
    assert (manifest.state, manifest.source, manifest.repository, manifest.revision) == (
        "complete",
        "huggingface",
        "baichuan-inc/Baichuan-7B",
        COMMIT,
    )
    assert {path: record.sha256 for path, record in manifest.files.items()} == {
        path: sha256(content) for path, content in FILES.items()
    }
    assert resolve_model("baichuan-7b").path == default_store().folder("baichuan-7b")


def test_a_second_download_asks_for_nothing_but_the_list(bcli: Bcli, hub: FakeHub) -> None:
    bcli("baichuan-7b")
    hub.requests.clear()
    ran = bcli("baichuan-7b")
    assert hub.requests == []
    assert ran == Ran(
        0,
        FOLDER,
        f"{HEADLINE}disk    0 bytes needed (8.7 MB of it here), 100.0 GB free in HOME/data/models\n{MEMORY}"
        "all 7 files were here · bcli generate --model baichuan-7b\n",
    )


def test_a_new_version_fetches_what_has_changed_and_drops_what_is_gone(bcli: Bcli, hub: FakeHub) -> None:
    bcli("baichuan-7b")
    hub.requests.clear()
    repository = hub.repositories["baichuan-inc/Baichuan-7B"]
    repository.commit = "f" * 40
    repository.files["generation_config.json"] = b"{}"
    del repository.files["training_report.json"]
    assert bcli("baichuan-7b").code == 0
    assert hub.requests == [("generation_config.json", "")]
    folder = default_store().folder("baichuan-7b")
    assert (folder / "generation_config.json").read_bytes() == b"{}"
    assert not (folder / "training_report.json").exists()


def test_what_other_versions_and_conversions_left_behind_goes(bcli: Bcli, hub: FakeHub) -> None:
    folder = default_store().folder("baichuan-7b")
    (folder / "sub").mkdir(parents=True)
    for name in (
        "gone.bin.0123456789ab.incomplete",
        "sub/x.incomplete",
        "model-00001-of-00002.safetensors.incomplete",
    ):
        (folder / name).write_bytes(b"left")
    bcli("baichuan-7b")
    assert list(folder.rglob("*.incomplete")) == []


def test_quiet_prints_the_folder_and_nothing_else(bcli: Bcli, hub: FakeHub) -> None:
    assert bcli("baichuan-7b", "--quiet") == Ran(0, FOLDER, "")


def test_json_tells_what_came(bcli: Bcli, hub: FakeHub) -> None:
    ran = bcli("baichuan-7b", "--json")
    told = json.loads(ran.stdout)
    files = {file.pop("path"): file for file in told.pop("files")}
    assert files == {path: {"size": len(content), "sha256": sha256(content)} for path, content in FILES.items()}
    assert told == {
        "schema": "bcli.download/1",
        "model": "baichuan-7b",
        "path": FOLDER.strip(),
        "state": "complete",
        "source": "huggingface",
        "repository": "baichuan-inc/Baichuan-7B",
        "revision": COMMIT,
        "bytes": SIZE,
        "fetched_bytes": SIZE,
        "patched": [],
    }
    assert ran.stderr == ""


def test_json_of_a_dry_run_tells_disk_and_memory(bcli: Bcli, hub: FakeHub) -> None:
    told = json.loads(bcli("baichuan-7b", "--dry-run", "--json").stdout)
    assert told["schema"] == "bcli.download-plan/1"
    assert told["disk"] == {"needed_bytes": SIZE, "free_bytes": 100 * 10**9, "enough": True}
    assert told["memory"] == {
        "profile": "cpu",
        "dtype": "bfloat16",
        "cards": 1,
        "max_model_len": 4096,
        "weight_bytes": 14_001_119_232,
        "kv_bytes": 2 * GIB,
        "fits": True,
        "refusals": [],
    }
    assert told["files"][-1] == {
        "path": WEIGHTS,
        "size": len(FILES[WEIGHTS]),
        "sha256": sha256(FILES[WEIGHTS]),
        "here": False,
    }


def test_too_small_a_disk_is_refused_before_a_byte_moves(
    bcli: Bcli, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(10**7, 10**7, 1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    ran = bcli("baichuan-7b", "--quiet")
    assert ran == Ran(
        ExitCode.REFUSED,
        "",
        f"error: The disk is too small: {SIZE:,} bytes are needed and 1,000,000 are free in "
        "HOME/data/models/baichuan-7b.\n"
        "  Free some space, see what can go with `bcli models ls`, or set BCLI_HOME to a larger disk.\n",
    )
    assert hub.requests == []


def test_no_fit_is_a_warning_with_what_would_fit(bcli: Bcli, hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan2-13B-Chat", FILES)
    ran = bcli("baichuan2-13b-chat", "--dry-run")
    assert (
        "memory  cpu profile, bfloat16: 25.9 GiB weights + 3.1 GiB KV (4,096 tokens), does not run there as it is\n"
        in (ran.stdout)
    )
    assert ran.stderr == (
        "warning: baichuan2-13b-chat does not fit: weights 25.9 GiB + KV 3.1 GiB + 1.5 GiB > 0.90 × 24 GiB of this "
        "machine.\n  Use a smaller or quantized checkpoint (bcli models list).\n"
        "  These fit: baichuan2-7b-chat (15.0 GB), baichuan2-13b-chat-gptq-4bit-32g (9.9 GB), "
        "baichuan2-7b-chat-gptq-int4 (5.4 GB)\n"
    )


def test_the_machine_is_looked_at_once_for_all_models(
    bcli: Bcli, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    detection = detect()
    monkeypatch.setattr("baichuan_cli.hardware.detect.detect", lambda: looked.append(1) or detection)
    hub.add("baichuan-inc/Baichuan2-13B-Chat", FILES)
    assert "These fit: " in bcli("baichuan2-13b-chat", "--dry-run").stderr
    assert looked == [1]


def test_cards_that_share_the_model_are_named(bcli: Bcli, hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan2-13B-Chat", FILES)
    ran = bcli("baichuan2-13b-chat", "--dry-run", "--profile", "z100l")
    assert (
        "memory  z100l profile, float16: 12.9 GiB weights + 1.6 GiB KV (4,096 tokens) on each of 2 cards, fits\n"
        in ran.stdout
    )


def test_another_machine_is_judged_by_a_vllm_that_runs_there(bcli: Bcli, hub: FakeHub) -> None:
    hub.add("TheBloke/Baichuan2-13B-Chat-GPTQ", FILES)
    ran = bcli("baichuan2-13b-chat-gptq", "--dry-run", "--profile", "k100")
    assert "memory  k100 profile, float16: 8.5 GiB weights + 3.1 GiB KV (4,096 tokens), fits\n" in ran.stdout


def test_auto_moves_on_and_says_why(bcli: Bcli, hub: FakeHub) -> None:
    hub.api_faults = [Fault(status=500)] * 3
    first_line = bcli("baichuan-7b").stderr.splitlines()[0]
    assert first_line == (
        f"baichuan-inc/Baichuan-7B @ {COMMIT[:7]} · 8.7 MB in 7 files · from hf-mirror "
        "(huggingface: the server answered 500, 3 times in a row)"
    )


def test_one_source_that_has_nothing_says_so(bcli: Bcli, hub: FakeHub) -> None:
    del hub.repositories["baichuan-inc/Baichuan-7B"]
    assert bcli("baichuan-7b", "--source", "huggingface") == Ran(
        ExitCode.NOT_FOUND,
        "",
        "error: Nothing came from huggingface: it has no baichuan-inc/Baichuan-7B, or shows it only with a token.\n"
        f"  Look at {hub.endpoint}/baichuan-inc/Baichuan-7B. "
        "A private repository needs `hf auth login` or HF_TOKEN.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["baichuan-7b", "--source", "nowhere"], "There is no source 'nowhere'."),
        (["baichuan-7b-gptq", "--source", "modelscope"], "baichuan-7b-gptq is not on modelscope, as far as the"),
        (["demo"], "demo comes with bcli."),
        (["baichuan3"], "There is no model 'baichuan3'."),
        (["baichuan-7b", "--revision", "v9", "--source", "huggingface"], "has no such revision."),
        (["sharegpt", "--source", "modelscope"], "is not on modelscope."),
    ],
)
def test_what_cannot_be_downloaded_is_said_without_a_traceback(
    bcli: Bcli, hub: FakeHub, arguments: list[str], message: str
) -> None:
    ran = bcli(*arguments)
    assert ran.code in (ExitCode.USAGE, ExitCode.NOT_FOUND)
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_stays_damaged_leaves_a_partial_model_that_is_not_offered(bcli: Bcli, hub: FakeHub) -> None:
    hub.always[WEIGHTS] = Fault(wrong_byte=100)
    ran = bcli("baichuan-7b", "--quiet")
    assert ran.code == ExitCode.INVALID
    assert "warning: model.safetensors arrived damaged and is fetched again: its SHA-256 is " in ran.stderr
    assert "error: model.safetensors from huggingface arrived damaged twice: its SHA-256 is " in ran.stderr
    manifest = default_store().read("baichuan-7b")
    assert manifest is not None
    assert manifest.state == "partial"
    with pytest.raises(BcliError, match="The download of baichuan-7b is not finished"):
        require_local(resolve_model("baichuan-7b"))
    hub.always.clear()
    hub.requests.clear()
    assert bcli("baichuan-7b", "--quiet").code == 0
    assert hub.requests == [(WEIGHTS, "")]


def test_some_of_the_weights_make_no_model_and_one_more_file_unmakes_none(bcli: Bcli, hub: FakeHub) -> None:
    tensors = load_file(demo_path("demo") / WEIGHTS)
    first, second = dict(list(tensors.items())[:9]), dict(list(tensors.items())[9:])
    shards = {f"model-0000{n}-of-00002.safetensors": save(shard) for n, shard in ((1, first), (2, second))}
    where = {name: file for file, shard in zip(shards, (first, second), strict=True) for name in shard}
    index = {"model.safetensors.index.json": json.dumps({"weight_map": where}).encode()}
    hub.add("baichuan-inc/Baichuan-7B", {**FILES, **shards, **index, "README.md": b"read me"})
    del hub.repositories["baichuan-inc/Baichuan-7B"].files[WEIGHTS]

    ran = bcli("baichuan-7b", "--include", "*00001*", "--include", "*.index.json")
    assert ran.code == 0
    assert ran.stderr.splitlines()[-1].endswith(" · not all of it is here, so it cannot be run yet")
    assert bcli("baichuan-7b", "--exclude", "*.md").stderr.endswith(" · bcli generate --model baichuan-7b\n")
    ran = bcli("baichuan-7b", "--include", "*.md")
    assert ran.stderr.splitlines()[-1] == "checked 1 file (git sha1) · bcli generate --model baichuan-7b"
    assert require_local(resolve_model("baichuan-7b")) == default_store().folder("baichuan-7b")


def test_a_pattern_that_matches_nothing_is_refused(bcli: Bcli, hub: FakeHub) -> None:
    assert bcli("baichuan-7b", "--include", "*.gguf").stderr.splitlines() == [
        "error: baichuan-inc/Baichuan-7B has no file that matches '*.gguf'.",
        "  See all files with --dry-run, without --include.",
    ]


@pytest.mark.parametrize("option", ["--source", "--revision", "--include", "--exclude"])
def test_an_empty_option_is_refused(bcli: Bcli, option: str) -> None:
    assert bcli("baichuan-7b", option, "").stderr.splitlines()[0] == f"error: {option} is empty."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "sharegp",
            ["error: There is no model 'sharegp'. Did you mean sharegpt?", "  See all names with: bcli models list"],
        ),
        (
            "https://huggingface.co/baichuan-inc/Baichuan-7B",
            [
                "error: There is no model 'https://huggingface.co/baichuan-inc/Baichuan-7B'.",
                "  Give a name, or the repository alone: bcli download baichuan-inc/Baichuan-7B",
            ],
        ),
        (
            "./mine",
            [
                "error: There is no model './mine'.",
                "  A folder needs no download. Give it a name: bcli models add ./mine",
                "  Or copy from it: bcli download NAME --source ./mine",
            ],
        ),
    ],
)
def test_what_is_no_name_gets_the_next_thing_to_try(bcli: Bcli, name: str, said: list[str]) -> None:
    ran = bcli(name)
    assert (ran.code, ran.stderr.splitlines()) == (ExitCode.NOT_FOUND, said)


def test_without_weights_a_model_stays_partial(bcli: Bcli, hub: FakeHub) -> None:
    ran = bcli("baichuan-7b", "--exclude", "*.safetensors")
    assert ran.stderr.splitlines()[-1] == (
        "checked 6 files (4 by git sha1, 2 by sha256) · not all of it is here, so it cannot be run yet"
    )
    manifest = default_store().read("baichuan-7b")
    assert manifest is not None
    assert manifest.state == "partial"


def test_what_a_narrower_download_leaves_out_stays(bcli: Bcli, hub: FakeHub) -> None:
    assert bcli("baichuan-7b", "--quiet").code == 0
    weights = default_store().folder("baichuan-7b") / WEIGHTS
    bcli("baichuan-7b", "--exclude", "*.safetensors", "--quiet")
    assert weights.read_bytes() == FILES[WEIGHTS]
    hub.requests.clear()
    assert bcli("baichuan-7b", "--quiet").code == 0
    assert hub.requests == []  # nothing had to come again


def test_a_file_that_verify_found_changed_comes_again(bcli: Bcli, hub: FakeHub) -> None:
    from baichuan_cli.cli.store import verify

    assert bcli("baichuan-7b", "--quiet").code == 0
    weights = default_store().folder("baichuan-7b") / WEIGHTS
    rotten = bytearray(FILES[WEIGHTS])
    rotten[-1] ^= 1
    weights.write_bytes(rotten)
    with pytest.raises(BcliError, match="1 file changed"):
        verify("baichuan-7b")
    with pytest.raises(BcliError):
        require_local(resolve_model("baichuan-7b"))
    assert bcli("baichuan-7b", "--quiet").code == 0
    assert weights.read_bytes() == FILES[WEIGHTS]


def test_an_answer_that_is_no_hub_s_is_told(bcli: Bcli, hub: FakeHub) -> None:
    ran = bcli("org/na..me", "--source", "huggingface")
    assert ran.code != 0
    assert "it cannot be asked: " in ran.stderr


def test_another_process_on_the_same_model_is_told_to_wait(bcli: Bcli, hub: FakeHub) -> None:
    import subprocess

    script = (
        "import sys, time\nfrom baichuan_cli.hub.store import default_store\n"
        "with default_store().lock('baichuan-7b'):\n    print('locked', flush=True)\n    time.sleep(30)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ran = bcli("baichuan-7b", "--quiet")
        other.kill()
    assert ran.code == ExitCode.OUTPUT
    assert ran.stderr.startswith("error: Another bcli is downloading or changing baichuan-7b.\n")
    assert hub.requests == []


def test_a_copy_in_the_hugging_face_cache_is_used_where_it_is(bcli: Bcli, hub: FakeHub, isolation: Path) -> None:
    snapshot = isolation / "huggingface/hub/models--baichuan-inc--Baichuan-7B/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name, content in FILES.items():
        (snapshot / name).write_bytes(content)
    ran = bcli("baichuan-7b")
    assert ran.stdout == f"HOME/huggingface/hub/models--baichuan-inc--Baichuan-7B/snapshots/{COMMIT}\n"
    assert ran.stderr == (
        "baichuan-7b is on this machine already, and bcli uses it where it is: bcli generate --model baichuan-7b\n"
    )
    assert bcli("baichuan-7b", "--dry-run") == ran
    assert json.loads(bcli("baichuan-7b", "--dry-run", "--json").stdout) == {
        "schema": "bcli.download-plan/1",
        "model": "baichuan-7b",
        "path": ran.stdout.strip(),
        "state": "elsewhere",
    }
    assert hub.requests == []
    (snapshot / WEIGHTS).write_bytes(b"half")
    assert bcli("baichuan-7b").stdout == FOLDER


def test_a_repository_in_the_cache_is_used_where_it_is(bcli: Bcli, hub: FakeHub, isolation: Path) -> None:
    snapshot = isolation / "huggingface/hub/models--someone--My-Tune/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name, content in FILES.items():
        (snapshot / name).write_bytes(content)
    ran = bcli("someone/my-tune")
    assert ran.stdout == f"HOME/huggingface/hub/models--someone--My-Tune/snapshots/{COMMIT}\n"
    assert resolve_model("Someone/my-tune").path == snapshot
    assert find_folder("someone/My-Tune") == snapshot


def test_a_folder_is_a_source(bcli: Bcli, hub: FakeHub, tmp_path: Path) -> None:
    tree = tmp_path / "disk" / "Baichuan-7B"
    tree.mkdir(parents=True)
    for name, content in FILES.items():
        (tree / name).write_bytes(content)
    for place in (str(tree), str(tmp_path / "disk"), (tmp_path / "disk").as_uri()):
        ran = bcli("baichuan-7b", "--source", place)
        assert ran.stdout == FOLDER
        assert ran.stderr.splitlines()[0] == f"{tree} · 8.7 MB in 7 files · from folder"
        last = "checked 7 files (size and structure)" if place == str(tree) else "all 7 files were here"
        assert ran.stderr.splitlines()[-1] == f"{last} · bcli generate --model baichuan-7b"


def test_the_data_set_of_the_benchmark(bcli: Bcli, hub: FakeHub, isolation: Path) -> None:
    content = json.dumps([{"id": "1", "conversations": []}] * 200).encode()
    name = "ShareGPT_V3_unfiltered_cleaned_split.json"
    hub.add("anon8231489123/ShareGPT_Vicuna_unfiltered", {name: content, "README.md": b"no"})
    ran = bcli("sharegpt")
    assert ran == Ran(
        0,
        f"HOME/data/datasets/sharegpt/{name}\n",
        f"anon8231489123/ShareGPT_Vicuna_unfiltered · {name} · 6,800 bytes · from huggingface\n"
        "disk    6,800 bytes needed, 100.0 GB free in HOME/data/datasets/sharegpt\n"
        f"{name}  6,800 bytes\n",
    )
    assert (isolation / "data/datasets/sharegpt" / name).read_bytes() == content
    assert json.loads(bcli("sharegpt", "--json").stdout)["missing_bytes"] == 0


def test_where_the_data_set_cannot_be_had_its_place_is_told(bcli: Bcli, hub: FakeHub) -> None:
    place = "HOME/data/datasets/sharegpt/ShareGPT_V3_unfiltered_cleaned_split.json"
    assert bcli("sharegpt").stderr.splitlines()[-1] == f"  Put the file there by hand: {place}"
    assert bcli("sharegpt", "--source", "./folder").stderr.splitlines()[1:] == [
        "  It is on huggingface and hf-mirror.",
        f"  Put the file there by hand: {place}",
    ]


BROKEN_TOKENIZER = b"""\
class BaiChuanTokenizer(PreTrainedTokenizer):
    def __init__(self, vocab_file):
        super().__init__(vocab_file=vocab_file)
        self.sp_model = spm.SentencePieceProcessor()
        self.sp_model.Load(vocab_file)
"""


def test_a_broken_tokenizer_is_patched_aloud_and_stays_so(bcli: Bcli, hub: FakeHub) -> None:
    hub.repositories["baichuan-inc/Baichuan-7B"].files["tokenization_baichuan.py"] = BROKEN_TOKENIZER
    last = bcli("baichuan-7b").stderr.splitlines()[-1]
    assert last == (
        "checked 8 files (5 by git sha1, 3 by sha256) · tokenizer patched for other programs "
        "(tokenization_baichuan.py: super().__init__() moved to the end of __init__)"
        " · bcli generate --model baichuan-7b"
    )
    hub.requests.clear()
    assert bcli("baichuan-7b").stderr.splitlines()[-1].startswith("all 8 files were here")
    assert hub.requests == []


def test_a_tokenizer_in_an_unknown_layout_is_told(bcli: Bcli, hub: FakeHub) -> None:
    unknown = BROKEN_TOKENIZER + b"        self.prepare()\n"
    hub.repositories["baichuan-inc/Baichuan-7B"].files["tokenization_baichuan.py"] = unknown
    ran = bcli("baichuan-7b")
    assert ran.code == 0
    assert (
        "warning: tokenization_baichuan.py was left alone: it has a statement behind super().__init__() that it may "
        "need: line 6.\n"
        "  bcli never runs it. Other programs do; where they fail with it: bcli patch-tokenizer baichuan-7b --fast\n"
    ) in ran.stderr
    assert (default_store().folder("baichuan-7b") / "tokenization_baichuan.py").read_bytes() == unknown


def test_no_patch_leaves_the_tokenizer_as_it_came(bcli: Bcli, hub: FakeHub) -> None:
    hub.repositories["baichuan-inc/Baichuan-7B"].files["tokenization_baichuan.py"] = BROKEN_TOKENIZER
    bcli("baichuan-7b", "--no-patch")
    assert (default_store().folder("baichuan-7b") / "tokenization_baichuan.py").read_bytes() == BROKEN_TOKENIZER


@pytest.fixture
def tensors(hub: FakeHub, tmp_path: Path) -> dict[str, torch.Tensor]:
    """Have Baichuan-7B as `.bin` on the hub, and return its tensors."""
    (tmp_path / WEIGHTS).write_bytes(FILES[WEIGHTS])
    tensors: dict[str, torch.Tensor] = load_file(tmp_path / WEIGHTS)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    files = hub.repositories["baichuan-inc/Baichuan-7B"].files
    del files[WEIGHTS]
    files["pytorch_model.bin"] = (tmp_path / "pytorch_model.bin").read_bytes()
    return tensors


def test_bin_weights_are_converted_when_asked_and_not_fetched_again(
    bcli: Bcli, hub: FakeHub, tensors: dict[str, torch.Tensor]
) -> None:
    ran = bcli("baichuan-7b", "--safetensors")
    assert (ran.code, ran.stdout) == (0, FOLDER)
    folder = default_store().folder("baichuan-7b")
    assert not (folder / "pytorch_model.bin").exists()
    converted = load_file(folder / WEIGHTS)
    assert all(torch.equal(converted[name], tensor) for name, tensor in tensors.items())
    hub.requests.clear()
    assert bcli("baichuan-7b").stderr.splitlines()[-1].startswith("all 7 files were here")
    assert hub.requests == []
    assert resolve_model("baichuan-7b").weight_format == "safetensors"


@pytest.mark.parametrize("step", ["put_in_place", "_remove"])
def test_a_conversion_that_was_cut_short_is_mended_by_the_same_command(
    bcli: Bcli, hub: FakeHub, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail_afterwards(*arguments: Any) -> None:
        original(*arguments)
        raise OSError(5, "Input/output error")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    bcli("baichuan-7b")
    original = bring.put_in_place
    with monkeypatch.context() as patched:
        if step == "put_in_place":
            patched.setattr(bring, step, fail_afterwards)
        else:
            patched.setattr("baichuan_cli.hub.bring._remove", lambda _, names: fail() if names else None)
        assert bcli("baichuan-7b", "--safetensors").code == ExitCode.INVALID
    with pytest.raises(BcliError, match="is not finished"):
        require_local(resolve_model("baichuan-7b"))
    hub.requests.clear()
    assert bcli("baichuan-7b", "--safetensors").code == 0
    assert hub.requests == []
    folder = default_store().folder("baichuan-7b")
    assert sorted(path.name for path in folder.glob("*model*") if path.name != "tokenizer.model") == [WEIGHTS]
    assert resolve_model("baichuan-7b").weight_format == "safetensors"


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal_show_the_whole_and_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    # rich keeps the environment that it was imported in.
    monkeypatch.setattr("rich.console.Console._environ", {"TERM": "xterm", "COLUMNS": "80"})
    screen = Screen()
    files = [RemoteFile("a.bin", 1_000_000), RemoteFile("b.bin", 3_000_000)]
    with listening(Output(stderr=screen), files, quiet=False) as listener:
        listener.position(files[0], 0)
        listener.position(files[1], 1_000_000)  # was here
        listener.position(files[0], 500_000)
        listener.position(files[1], 1_500_000)
        listener.finished(files[0])
        bars = listener._bars  # type: ignore[attr-defined]
        assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
            ("total", 1_000_000, 3_000_000),
            ("b.bin", 1_500_000, 3_000_000),
        ]
        bars.refresh()
    assert "1.0/3.0 MB" in screen.getvalue()


def test_a_repository_that_the_catalogue_does_not_know_is_read_first(bcli: Bcli, hub: FakeHub) -> None:
    hub.add("someone/My-Tune", FILES)
    ran = bcli("someone/My-Tune", "--max-workers", "1")
    assert (ran.code, ran.stdout) == (0, "HOME/data/models/someone--my-tune\n")
    lines = ran.stderr.splitlines()
    assert lines[0] == f"someone/My-Tune @ {COMMIT[:7]} · 8.7 MB in 7 files · from huggingface"
    assert lines[2] == "memory  cpu profile, bfloat16: 8.3 MiB weights + 8.0 MiB KV (2,048 tokens), fits"
    assert lines[-1] == "checked 7 files (4 by git sha1, 3 by sha256) · bcli generate --model someone--my-tune"
    folder = default_store().folder("someone--my-tune")
    for name in ("someone--my-tune", "someone/My-Tune", "Someone/my-tune"):
        assert resolve_model(name).path == find_folder(name) == folder


def test_a_repository_is_downloaded_by_its_name_in_the_store_too(bcli: Bcli, hub: FakeHub) -> None:
    hub.add("someone/My-Tune", FILES)
    hub.faults[WEIGHTS] = [Fault(status=404)]
    assert bcli("someone/My-Tune").code == 4
    with pytest.raises(BcliError) as caught:
        resolve_model("someone/my-tune")
    assert caught.value.hint == "Go on with it: bcli download someone--my-tune"
    assert bcli("someone--my-tune").stdout == "HOME/data/models/someone--my-tune\n"
    hub.add("another/tune", FILES)
    assert bcli("another--tune", "--quiet").stdout == "HOME/data/models/another--tune\n"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b'{"model_type": "llama"}', "someone/Other is no Baichuan language model: its config.json says 'llama'."),
        (b"{", "config.json is damaged: Expecting property name enclosed in double quotes in line 1."),
        (None, "someone/Other is no model: it has no config.json."),
    ],
)
def test_what_is_no_baichuan_is_refused_before_its_weights_come(
    bcli: Bcli, hub: FakeHub, config: bytes | None, message: str
) -> None:
    files = {**FILES, "config.json": config}
    hub.add("someone/Other", {name: content for name, content in files.items() if content is not None})
    ran = bcli("someone/Other")
    assert ran.stderr.splitlines()[0] == f"error: {message}"
    assert WEIGHTS not in [path for path, _ in hub.requests]
    assert default_store().names() == []
