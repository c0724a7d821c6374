"""Time `bcli download` beside `huggingface_hub.snapshot_download`, hashing beside `sha256sum`, and watch a conversion.

    python benchmarks/download.py [--gigabytes 1] [--rounds 3]

All bytes come from a fake hub on loopback in a process of its own: a random checkpoint in the layout of Baichuan-7B,
in float32 and in eight files. `bcli download` runs as a person runs it, on a terminal, from the list of files to the
last check; snapshot_download runs as a script on a terminal, with its progress bars. They take turns, and each round
starts with an empty folder. Wanted: at most 1.1 times the time of snapshot_download, which checks no hash; hashing no
slower than sha256sum; a conversion within 1.3 times its largest shard.
"""

from __future__ import annotations

import argparse
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

FILES = 8
REPOSITORY = "baichuan-inc/Baichuan-7B"
NAME = "baichuan-7b"
GIGABYTES_A_LAYER = 0.2

SERVE = """
import json, sys
from safetensors.torch import save
from baichuan_cli.demo import demo_path
from fakes.hub import running_hub, sha256
from reference.baichuan_reference import Shape
from reference.checkpoints import config_of, random_weights
shape = Shape(hidden_size=2048, intermediate_size=5504, layers=int(sys.argv[1]), heads=16, vocab_size=3328)
tensors = random_weights(shape)
total = sum(tensor.nbytes for tensor in tensors.values())
shards, where, passed = [{} for _ in range(8)], {}, 0
for name, tensor in tensors.items():
    number = min(7, passed * 8 // total)
    shards[number][name] = tensor
    where[name] = f"model-{number + 1:05}-of-00008.safetensors"
    passed += tensor.nbytes
files = {f"model-{n:05}-of-00008.safetensors": save(shard, {"format": "pt"}) for n, shard in enumerate(shards, 1)}
files["model.safetensors.index.json"] = json.dumps({"metadata": {"total_size": total}, "weight_map": where}).encode()
files["config.json"] = json.dumps(config_of(shape)).encode()
for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
    files[name] = (demo_path("demo") / name).read_bytes()
del tensors, shards
for content in files.values():
    sha256(content)
with running_hub() as hub:
    hub.add(sys.argv[2], files)
    print(hub.endpoint, sum(map(len, files.values())), flush=True)
    sys.stdin.read()
"""

SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
snapshot_download(sys.argv[1], local_dir=sys.argv[2])
"""

MAKE_SHARD = """
import sys, torch
count = int(sys.argv[2]) // (64 << 20)
torch.save({f"layer.{n}": torch.randn(32 << 20).to(torch.bfloat16) for n in range(count)}, sys.argv[1])
"""

# VmHWM and not ru_maxrss, which starts at the size of the process that forked.
CONVERT = """
import re, sys, torch
from pathlib import Path
from baichuan_cli.hub.convert import convert_weights
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
torch.load(sys.argv[1] + "/tiny.bin", weights_only=True, mmap=True)
before = peak()
convert_weights(Path(sys.argv[1]), [sys.argv[2]])
print(before, peak())
"""

HASH = """
import sys
from pathlib import Path
from baichuan_cli.hub.digest import digest_of
from baichuan_cli.hub.source import RemoteFile
digest_of(Path(sys.argv[1]), RemoteFile("x", None, sha256="0" * 64))
"""


@contextmanager
def hub(layers: int) -> Iterator[tuple[dict[str, str], int]]:
    """Serve the checkpoint; give the environment to ask for it, and its size in bytes."""
    tests = Path(__file__).parents[1] / "tests"
    command = [sys.executable, "-c", SERVE, str(layers), REPOSITORY]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(tests)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout and server.stdin
        endpoint, size = server.stdout.readline().split()
        yield (
            {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"},
            int(size),
        )
        server.stdin.close()


def seconds(code: str, *arguments: str) -> float:
    """Run a piece of Python in a process of its own and return the wall time."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    return time.perf_counter() - started


def seconds_on_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command on a terminal of its own, which nobody looks at, and return the wall time."""
    ours, theirs = pty.openpty()
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # that is how the end of a terminal reads
            while block := os.read(ours, 1 << 16):
                shown = (shown + block)[-4000:]
    took = time.perf_counter() - started
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}:\n{shown.decode(errors='replace')}")
    return took


def compare_downloads(folder: Path, gigabytes: float, rounds: int) -> None:
    """Let both programs download in turns."""
    times: dict[str, list[float]] = {"bcli download": [], "snapshot_download": []}
    target = folder / "downloads"
    with hub(round(gigabytes / GIGABYTES_A_LAYER)) as (environment, total_bytes):
        print(f"downloading {total_bytes:,} bytes in {FILES} files of weights and 5 small ones")
        environment |= {"BCLI_HOME": str(target), "HF_HOME": str(folder / "empty-cache")}
        commands = {
            "bcli download": [sys.executable, "-m", "baichuan_cli", "download", NAME],
            "snapshot_download": [sys.executable, "-c", SNAPSHOT, REPOSITORY, str(target)],
        }
        for number in range(rounds + 1):
            for name in sorted(commands, reverse=bool(number % 2)):
                took = seconds_on_a_terminal(commands[name], environment)
                shutil.rmtree(target)
                if number:  # the first round warms up
                    times[name].append(took)
    for name, taken in times.items():
        best, median = min(taken), statistics.median(taken)
        print(f"{name:18} median {median:6.2f} s  best {best:6.2f} s  {total_bytes / median / 1e6:6.0f} MB/s")
    ratios = [ours / theirs for ours, theirs in zip(*times.values(), strict=True)]
    print(f"ratio              median {statistics.median(ratios):6.2f}    (wanted: at most 1.10)")


def compare_hashing(folder: Path, total_bytes: int, rounds: int) -> None:
    """Hash one file, in the page cache, with each."""
    path = folder / "random"
    path.write_bytes(os.urandom(total_bytes))
    empty = folder / "empty"
    empty.touch()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(HASH, str(path)) - seconds(HASH, str(empty)))
        started = time.perf_counter()
        subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL)
        theirs.append(time.perf_counter() - started)
    path.unlink()
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"hashing            bcli {one:.2f} s  sha256sum {other:.2f} s  ratio {one / other:.2f}")


def watch_conversion(folder: Path, total_bytes: int) -> None:
    """Convert one shard and compare the peak of resident memory with the shard."""
    seconds(MAKE_SHARD, str(folder / "pytorch_model.bin"), str(total_bytes))
    seconds(MAKE_SHARD, str(folder / "tiny.bin"), str(64 << 20))
    shard = (folder / "pytorch_model.bin").stat().st_size
    command = [sys.executable, "-c", CONVERT, str(folder), "pytorch_model.bin"]
    started = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    took = time.perf_counter() - started
    before, peak = map(int, told)
    print(
        f"conversion         {shard / 1e9:.2f} GB in {took:.1f} s; peak {(peak - before) / shard:.2f} × the shard "
        f"above PyTorch's own {before / 1e9:.2f} GB, {peak / shard:.2f} × with it (wanted: below 1.30)"
    )


def main() -> None:
    """Run all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    total_bytes = int(arguments.gigabytes * 1e9)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory(prefix="bcli-download-") as folder:
        compare_downloads(Path(folder), arguments.gigabytes, arguments.rounds)
        compare_hashing(Path(folder), total_bytes, arguments.rounds)
        watch_conversion(Path(folder), total_bytes)


if __name__ == "__main__":
    main()
