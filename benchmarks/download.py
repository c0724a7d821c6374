"""Time `bcli download` beside `huggingface_hub.snapshot_download`, hashing beside `sha256sum`, and watch a conversion.

    python benchmarks/download.py [--gigabytes 1] [--rounds 3]

All bytes come from a fake hub on loopback in a process of its own; both programs run as processes and take turns. Each
round starts with an empty folder. Wanted: at most 1.1 times the time of snapshot_download, which checks no hash;
hashing no slower than sha256sum; a conversion within 1.3 times its largest shard.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = 8
REPOSITORY = "baichuan-inc/Baichuan-7B"

SERVE = """
import json, os, sys
from fakes.hub import running_hub, sha256
bytes_each = int(sys.argv[1])
files = {f"model-{n:05}-of-00008.safetensors": os.urandom(bytes_each) for n in range(1, 9)}
for content in files.values():
    sha256(content)
files["config.json"] = b"{}"
with running_hub() as hub:
    hub.add(sys.argv[2], files)
    print(hub.endpoint, flush=True)
    sys.stdin.read()
"""

SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
snapshot_download(sys.argv[1], local_dir=sys.argv[2])
"""

# What `bcli download` does, less the check that the files are a Baichuan: random bytes are none.
BCLI = """
import sys
from pathlib import Path
from baichuan_cli.cli.download_progress import Silent
from baichuan_cli.cli.output import Output
from baichuan_cli.hub.bring import bring_model
from baichuan_cli.hub.download import make_job
from baichuan_cli.hub.hugging_face import HuggingFace
from baichuan_cli.hub.selection import select
from baichuan_cli.hub.store import Store
store, source = Store(Path(sys.argv[2])), HuggingFace(sys.argv[1])
with store.lock("model"):
    listing = source.list_files(None)
    job = make_job(source, listing, select(listing).files, store.folder("model"), None)
    bring_model(store, "model", job, Silent(Output()), workers=8, whole=False)
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
def hub(bytes_each: int) -> Iterator[dict[str, str]]:
    """Serve the repository, and give the environment to ask for it."""
    tests = Path(__file__).parents[1] / "tests"
    command = [sys.executable, "-c", SERVE, str(bytes_each), REPOSITORY]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(tests)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout and server.stdin
        endpoint = server.stdout.readline().strip()
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        yield {**os.environ, **quiet, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"}
        server.stdin.close()


def seconds(code: str, *arguments: str, environment: dict[str, str] | None = None) -> float:
    """Run a piece of Python in a process of its own and return the wall time."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True)
    return time.perf_counter() - started


def compare_downloads(folder: Path, total_bytes: int, rounds: int) -> None:
    """Let both programs download in turns."""
    times: dict[str, list[float]] = {"bcli": [], "snapshot_download": []}
    codes = {"bcli": BCLI, "snapshot_download": SNAPSHOT}
    with hub(total_bytes // FILES) as environment:
        for number in range(rounds + 1):
            for name in sorted(codes, reverse=bool(number % 2)):
                target = folder / name
                took = seconds(codes[name], REPOSITORY, str(target), environment=environment)
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
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {FILES} files, {total_bytes:,} bytes")
    with tempfile.TemporaryDirectory(prefix="bcli-download-") as folder:
        compare_downloads(Path(folder), total_bytes, arguments.rounds)
        compare_hashing(Path(folder), total_bytes, arguments.rounds)
        watch_conversion(Path(folder), total_bytes)


if __name__ == "__main__":
    main()
