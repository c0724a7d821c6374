"""vLLM writes to file descriptors; a child process shows that they are turned over and given back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from baichuan_cli.engine.log import new_log_path

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from baichuan_cli.engine.log import divert
path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
with divert(path) as log:
    print("python chatter")
    os.write(2, b"C++ chatter\\n")
    subprocess.run(["echo", "worker chatter"], check=True)
    log.stdout.write("data\\n"); log.stdout.flush()
    log.stderr.write("talk\\n"); log.stderr.flush()
    sys.stdout.flush()
    assert path is None or "python chatter" in log.tail(3)
print("after")
"""


def run(*arguments: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_chatter_goes_to_the_log_and_data_to_the_person(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert run(str(log)) == ("data\nafter\n", "talk\n")
    assert sorted(log.read_text().splitlines()) == ["C++ chatter", "python chatter", "worker chatter"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_without_a_log_file_chatter_goes_to_stderr_and_stdout_stays_data() -> None:
    stdout, stderr = run()
    assert stdout == "data\nafter\n"
    assert sorted(stderr.splitlines()) == ["C++ chatter", "python chatter", "talk", "worker chatter"]


def test_the_person_s_streams_keep_their_encoding() -> None:
    script = SCRIPT.replace('"data\\n"', '"床\\U0001f600\\n"')
    environment = {**os.environ, "PYTHONIOENCODING": "gbk:backslashreplace"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True)
    assert done.stdout.decode("gbk") == "床\\U0001f600\nafter\n"


def test_a_log_that_another_bcli_removes_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "gone.log").symlink_to("nowhere")  # listed, and not there when it is looked at
    assert new_log_path(tmp_path, "generate-demo").parent == tmp_path


def test_old_logs_are_removed_and_those_of_running_processes_kept(tmp_path: Path) -> None:
    running = tmp_path / f"serve-demo-{os.getpid()}.log"
    running.touch()
    os.utime(running, (0, 0))
    for number in range(30):
        path = tmp_path / f"{number:02}.log"
        path.touch()
        os.utime(path, (number, number))
    new = new_log_path(tmp_path, "generate-demo")
    assert new.name.startswith("generate-demo-")
    kept = [*(f"{number:02}.log" for number in range(11, 30)), running.name]
    assert [path.name for path in sorted(tmp_path.glob("*.log"))] == kept
