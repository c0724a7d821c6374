"""Killing the download process at random moments never harms a model, and the next run continues."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.demo import demo_path
from baichuan_cli.hub.store import default_store
from baichuan_cli.hub.stored import look_up
from baichuan_cli.hub.verify import verify
from fakes.hub import FakeHub, Fault

KILLS = 20
NAME = "baichuan-7b"
WEIGHTS = "model.safetensors"
FILES = {path.name: path.read_bytes() for path in demo_path("demo").iterdir() if path.is_file()}
SLOWLY = Fault(bytes_per_second=700_000)  # twelve seconds for the weights


def start(hub: FakeHub) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "baichuan_cli", "download", NAME, "--quiet"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def offered() -> bool:
    """Tell whether the store offers the model for use; what it offers must be whole."""
    stored = look_up(default_store(), NAME)
    if stored is None or not stored.usable:
        return False
    read_checkpoint(stored.require_usable())
    return True


def test_a_download_that_is_killed_again_and_again_is_finished_by_the_next(hub: FakeHub, isolation: Path) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = SLOWLY
    moments = random.Random(7)
    parts: list[int] = []
    for _ in range(KILLS):
        with start(hub) as child:
            try:
                child.wait(moments.uniform(0.2, 1.4))
            except subprocess.TimeoutExpired:
                child.kill()
        assert not offered()
        parts += [path.stat().st_size for path in isolation.glob(f"data/models/*/{WEIGHTS}.*.incomplete")]
    assert parts == sorted(parts)  # nothing that came was thrown away
    assert parts[-1] > 0

    hub.always.clear()
    hub.requests.clear()
    with start(hub) as child:
        output, _ = child.communicate()
    assert (child.returncode, output.decode()) == (0, f"{default_store().folder(NAME)}\n")
    assert hub.fetched(WEIGHTS) == [f"bytes={parts[-1]}-"]
    assert offered()
    manifest = default_store().read(NAME)
    assert manifest is not None
    assert verify(default_store().folder(NAME), manifest.expected(), lambda *_: None).passed
    left_over = [path.name for path in default_store().folder(NAME).iterdir() if path.name not in FILES]
    assert left_over == [".bcli-manifest.json"]


def test_two_processes_at_once_leave_one_whole_model(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = Fault(bytes_per_second=8_000_000)
    with start(hub) as first, start(hub) as second:
        outputs = {first.communicate()[0].decode(), second.communicate()[0].decode()}
    assert sorted([first.returncode, second.returncode]) == [0, 7]
    assert any("Another bcli is downloading or changing baichuan-7b." in output for output in outputs)
    assert len(hub.fetched(WEIGHTS)) == 1
    assert offered()


def test_a_half_model_is_refused_by_name_and_by_path(hub: FakeHub, isolation: Path) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = Fault(status=404)
    with start(hub) as child:
        child.communicate()
    folder = default_store().folder(NAME)
    (folder / WEIGHTS).write_bytes(FILES[WEIGHTS])  # even where a person puts the rest there by hand
    for model in (NAME, str(folder)):
        command = [sys.executable, "-m", "baichuan_cli", "generate", "--model", model, "--prompt", "x"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode != 0
        assert "error: The download of baichuan-7b is not finished.\n" in ran.stderr


def test_ctrl_c_says_what_is_kept(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = SLOWLY
    with start(hub) as child:
        while not hub.fetched(WEIGHTS):
            time.sleep(0.01)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate()
    assert child.returncode == 130
    assert output.decode() == (
        f"error: Stopped. What has come so far is in {default_store().folder(NAME)}.\n"
        "  Run the same command again: it continues there.\n"
    )


def test_the_error_names_what_failed(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = Fault(status=404)
    with start(hub) as child:
        output, _ = child.communicate()
    assert child.returncode == 4
    assert output.decode().startswith("error: model.safetensors did not come from huggingface: ")
