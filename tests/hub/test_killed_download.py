"""Killing the download process at random moments never harms a model, and the next run continues."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.demo import demo_path
from baichuan_cli.hub.fetch import BLOCK_BYTES
from baichuan_cli.hub.store import default_store
from baichuan_cli.hub.stored import look_up
from baichuan_cli.hub.verify import verify
from fakes.hub import FakeHub, Fault

KILLS = 20
NAME = "baichuan-7b"
WEIGHTS = "model.safetensors"
FILES = {path.name: path.read_bytes() for path in demo_path("demo").iterdir() if path.is_file()}
HALF = Fault(held_from=len(FILES[WEIGHTS]) // 2)


def start(hub: FakeHub) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "baichuan_cli", "download", NAME, "--quiet"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def offered() -> bool:
    """Tell whether the store offers the model for use; what it offers must be whole."""
    stored = look_up(default_store(), NAME)
    if stored is None or not stored.usable:
        return False
    read_checkpoint(stored.require_usable())
    return True


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for a moment that is sure to come, however slow the machine is."""
    while not reached():
        time.sleep(0.005)


def test_a_download_that_is_killed_again_and_again_is_finished_by_the_next(hub: FakeHub, isolation: Path) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    moments = random.Random(7)

    def unfinished() -> int:
        found = isolation.glob(f"data/models/*/{WEIGHTS}.*.incomplete")
        return sum(path.stat().st_size for path in found)

    # The hub never sends the weights beyond a byte drawn for each run: no machine finishes before it is killed.
    for held_from in sorted(moments.sample(range(len(FILES[WEIGHTS])), KILLS)):
        hub.always[WEIGHTS] = Fault(held_from=held_from)
        hub.tokens.clear()
        hub.requests.clear()
        before = unfinished()
        blocks = moments.randint(0, (held_from - before) // BLOCK_BYTES)
        with start(hub) as child:
            match moments.choice(("starting", "listing", "asking", "writing", "writing")):
                case "listing":
                    wait_until(lambda: bool(hub.tokens))
                case "asking":
                    wait_until(lambda: bool(hub.requests))
                case "writing":
                    wait_until(lambda wanted=before + blocks * BLOCK_BYTES: unfinished() >= wanted)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(moments.uniform(0, 0.05))
            assert child.poll() is None
            child.kill()
        assert not offered()
        assert unfinished() >= before  # nothing that came was thrown away
    part = unfinished()
    assert part > 0

    hub.always.clear()
    hub.requests.clear()
    with start(hub) as child:
        output, _ = child.communicate()
    assert (child.returncode, output) == (0, f"{default_store().folder(NAME)}\n")
    assert hub.fetched(WEIGHTS) == [f"bytes={part}-"]
    assert offered()
    manifest = default_store().read(NAME)
    assert manifest is not None
    assert verify(default_store().folder(NAME), manifest.expected(), lambda *_: None).passed
    left_over = [path.name for path in default_store().folder(NAME).iterdir() if path.name not in FILES]
    assert left_over == [".bcli-manifest.json"]


def test_two_processes_at_once_leave_one_whole_model(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    go_on = threading.Event()
    hub.always[WEIGHTS] = Fault(go_on=go_on)
    with start(hub) as first, start(hub) as second:
        wait_until(lambda: first.poll() is not None or second.poll() is not None)
        go_on.set()
        said = first.communicate()[1] + second.communicate()[1]
    assert sorted([first.returncode, second.returncode]) == [0, 7]
    assert "error: Another bcli is downloading or changing baichuan-7b.\n" in said
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
        command = [sys.executable, "-m", "baichuan_cli", "generate", "--model", model, "--force", "x"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode != 0
        assert "error: The download of baichuan-7b is not finished.\n" in ran.stderr


def test_ctrl_c_says_what_is_kept(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = HALF
    with start(hub) as child:
        wait_until(lambda: bool(hub.fetched(WEIGHTS)))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=10)  # the hub is silent now, and bcli would wait for it twice as long
    assert child.returncode == 130
    assert said.endswith(
        f"error: Stopped. What has come so far is in {default_store().folder(NAME)}.\n"
        "  Run the same command again: it continues there.\n"
    )


def test_the_error_names_what_failed(hub: FakeHub) -> None:
    hub.add("baichuan-inc/Baichuan-7B", FILES)
    hub.always[WEIGHTS] = Fault(status=404)
    with start(hub) as child:
        _, said = child.communicate()
    assert child.returncode == 4
    assert "error: model.safetensors did not come from huggingface: " in said
