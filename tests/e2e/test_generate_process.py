"""The console script as a person runs it: real processes, a terminal, real vLLM, and everything that goes wrong."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from baichuan_cli.demo import demo_path
from baichuan_cli.errors import ExitCode
from fakes.terminal import on_terminal
from reference.poems import FAMOUS
from reference.releases import older_than, since

BCLI = Path(sys.executable).with_name("bcli")
START, REST = FAMOUS[0].start, FAMOUS[0].rest
HEADLINE = re.compile(r"demo · cpu profile \(no accelerator found\) · vLLM [\w.+]+ · \w+")
TIMING = re.compile(r"21 tokens in \d+\.\d s \(engine ready in \d+\.\d s\)")
PATIENCE = 180  # seconds


@pytest.mark.engine
def test_the_first_answer_is_the_text_alone_on_stdout() -> None:
    done = subprocess.run([BCLI, "generate", "--prompt", START], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{REST}\n"), done.stderr
    headline, timing = done.stderr.splitlines()
    assert HEADLINE.fullmatch(headline)
    assert TIMING.fullmatch(timing)


@pytest.mark.engine
def test_on_a_terminal_the_prompt_is_echoed_and_the_text_streams() -> None:
    with on_terminal([BCLI, "generate", "--prompt", START], _terminal_environment()) as terminal:
        for _ in terminal.read():
            pass
        assert terminal.process.wait(PATIENCE) == 0
    headline, *poem, timing = terminal.screen()
    assert HEADLINE.fullmatch(headline)
    assert poem == (START + REST).split("\n")  # and nothing of vLLM's log between
    assert TIMING.fullmatch(timing)
    with_text = [piece for piece in terminal.pieces if any(character in piece.decode() for character in "疑霜望低乡")]
    assert len(with_text) > 1  # as many as the reader was there to tell apart


def _terminal_environment(**more: str) -> dict[str, str]:
    plain = ("COLUMNS", "LINES", "NO_COLOR")
    return {name: value for name, value in os.environ.items() if name not in plain} | more


class Batch:
    """A batch file with known answers, and what has become of it so far."""

    def __init__(self, folder: Path, size: int) -> None:
        self.source, self.answers = folder / "prompts.jsonl", folder / "answers.jsonl"
        poems = enumerate(islice(cycle(FAMOUS), size))
        self.expected = {f"poem-{number}": (poem.start, poem.rest) for number, poem in poems}
        self.ask(self.expected)
        self.command = [BCLI, "generate", "--input", str(self.source), "--output", str(self.answers)]
        self._before = b""
        self.answered: list[str] = []  # at the last check

    def ask(self, names: Iterable[str]) -> None:
        """Have the file ask for these alone."""
        lines = [{"custom_id": name, "prompt": self.expected[name][0]} for name in names]
        self.source.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def size(self) -> int:
        return self.answers.stat().st_size if self.answers.exists() else 0

    def check(self) -> int:
        """Hold the file against what it was at the last check and what it must say; return the answers in it."""
        data = self.answers.read_bytes() if self.answers.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        assert whole.startswith(self._before)
        self._before = whole
        records = [json.loads(line) for line in whole.splitlines()]
        texts = {record["custom_id"]: record["choices"][0]["text"] for record in records}
        assert len(texts) == len(records)
        assert texts == {name: self.expected[name][1] for name in texts}
        self.answered = list(texts)
        return len(records)

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run the batch, slowly enough to be disturbed, in a process group of its own."""
        command = [*self.command, "--max-num-seqs", "4", *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
        assert _is_gone(process.pid)

    def wait_for_more(self, wanted: int, process: subprocess.Popen[str]) -> None:
        """Wait until the file has grown by some bytes."""
        wanted += self.size()
        deadline = time.monotonic() + PATIENCE
        while self.size() < wanted:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
            time.sleep(0.01)


def _is_gone(group: int) -> bool:
    """Wait until no process of a group is left."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _fill_the_disk(batch: Batch) -> None:
    with batch.running() as process:
        batch.wait_for_more(20_000, process)  # more than vLLM's log, which the limit would hold up too
        most = batch.size() + 3_000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == ExitCode.OUTPUT, told
    assert batch.answers.read_bytes().endswith(b"\n")
    safe = batch.check()
    assert f"error: Cannot write to {batch.answers}: File too large. Answers safe in it: {safe}.\n" in told


def _press_ctrl_c(batch: Batch) -> None:
    """Stop the batch from the keyboard, while two worker processes compute it where this vLLM has them."""
    cores = sorted(os.sched_getaffinity(0))
    environment = _terminal_environment(VLLM_CPU_OMP_THREADS_BIND=f"{cores[0]}|{cores[-1]}")
    ranks = "1" if older_than("0.5.4") else "2"
    command = [*batch.command, "--max-num-seqs", "4", "--tensor-parallel-size", ranks]
    before, pressed = batch.size(), False
    with on_terminal(command, environment) as terminal:
        for _ in terminal.read():
            if not pressed and batch.size() > before:
                terminal.type(b"\x03")
                pressed = True
        assert terminal.process.wait(PATIENCE) == ExitCode.INTERRUPTED
    assert _is_gone(terminal.process.pid)
    headline, *_, stopped, hint = terminal.screen()
    assert HEADLINE.fullmatch(headline)
    assert stopped.endswith(f"error: Stopped. The answers so far are in {batch.answers}.")
    assert hint == "  Run the same command again: it continues with what is missing."
    assert b"tokens/s" in b"".join(terminal.pieces)


def _kill(batch: Batch, after: int, seconds: float) -> None:
    """Kill the batch some seconds after it has written so many bytes."""
    with batch.running() as process:
        batch.wait_for_more(after, process)
        time.sleep(seconds)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.engine
def test_a_batch_survives_a_full_disk_ctrl_c_and_kill_9(tmp_path: Path) -> None:
    size = 4_000  # so many that no machine comes to the end before it is stopped
    batch = Batch(tmp_path, size)
    _fill_the_disk(batch)
    found = [batch.check()]
    _press_ctrl_c(batch)
    found.append(batch.check())
    moments = random.Random(8)
    for written in (0, 1, 4_000):
        _kill(batch, written, moments.uniform(0, 0.3))
        found.append(batch.check())
    assert found == sorted(found) and found[0] < found[1] < found[-1] < size
    left = [name for name in batch.expected if name not in batch.answered]
    batch.ask(batch.answered + left[:20])  # few enough for a slow machine
    with batch.running() as process:
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    assert batch.check() == found[-1] + 20
    assert f"20 answered · {found[-1]} already there · " in told


@pytest.mark.engine
@since("0.8", "asks for the KV cache without looking first, and runs out of memory")
def test_a_failure_inside_vllm_is_told_with_its_cause_and_its_log(tmp_path: Path, isolation: Path) -> None:
    profile = tmp_path / "greedy.yaml"
    profile.write_text('title: Too much\nextends: cpu\nenvironment:\n  VLLM_CPU_KVCACHE_SPACE: "100000"\n')
    command = [BCLI, "generate", "--prompt", START, "--profile", profile]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == ExitCode.REFUSED
    assert not (isolation / "state").exists()  # nothing was loaded
    failed = subprocess.run([*command, "--force"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (ExitCode.ENGINE, "")
    assert "error: vLLM failed: No room for the KV cache beside the weights.\n" in failed.stderr
    [log] = (isolation / "state").glob("generate-demo-*.log")
    assert f"The whole log: {log}\n" in failed.stderr
    last = [line for line in log.read_text().splitlines() if line.strip()][-12:]
    assert "INFO" in "".join(last)
    assert "\n".join(f"  {line[:200]}" for line in last) in failed.stderr
    assert "Traceback" not in failed.stderr


def _cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def _lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _lose_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.2.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message", "code"),
    [
        (_cut("model.safetensors"), "model.safetensors is cut short: 4,329,336 of 8,658,672", ExitCode.INVALID),
        (_lose_a_tensor, "1 of 31 layers have no weights in {folder}, model.layers.2.mlp.up_proj", ExitCode.INVALID),
        (_lose("model.safetensors"), "There are no weights in {folder}", ExitCode.NOT_FOUND),
        (_lose("tokenizer.model"), "There is no tokenizer.model in {folder}.", ExitCode.NOT_FOUND),
        (_cut("tokenizer.model"), "tokenizer.model is cut short", ExitCode.INVALID),
        (_cut("config.json"), "config.json is damaged", ExitCode.INVALID),
    ],
    ids=["weights cut", "tensor missing", "no weights", "no tokenizer", "tokenizer cut", "config cut"],
)
def test_a_damaged_checkpoint_is_told_at_once(
    damage: Callable[[Path], None], message: str, code: ExitCode, tmp_path: Path, isolation: Path
) -> None:
    folder = shutil.copytree(demo_path("demo"), tmp_path / "model")
    damage(folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [BCLI, "generate", "--model", folder, "--prompt", START], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: " + message.format(folder=folder))
    assert done.stderr.count("\n") == 2  # what is wrong, and what to do
    # Time of the processor, which others do not take part in; importing vLLM alone takes six seconds of it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4
    assert not (isolation / "state").exists()
