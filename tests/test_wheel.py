"""The built wheel in an environment of its own, as a person gets it: no checkout, no vLLM.

pip fetches bcli's few dependencies from the indexes that are configured here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from baichuan_cli import __version__
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import ExitCode
from fakes.hub import running_hub

ROOT = Path(__file__).parents[1]

#: The least that pyproject.toml promises to work with, as in the vendor's image for DCU with Python 3.10.
#: PyYAML 6.0.0 has no wheel that still builds, and Typer 0.12 needs a Click of its time.
OLDEST = ("typer==0.12.4", "click<8.2", "rich==13.7.0", "pydantic==2.7.0", "PyYAML==6.0.1")
OLDEST += ("packaging==23.0", "platformdirs==4.0.0", "protobuf==3.20.0", "huggingface_hub==0.23.0")


def _python_3_10() -> str | None:
    """Return a Python 3.10 of this machine that starts; a shim of pyenv may be there and not start."""
    found = shutil.which("python3.10")
    installed = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))
    for candidate in (*installed, *([found] if found else [])):
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without hatchling in this environment pip fetches it into one that is thrown away.
    isolation = [] if importlib.util.find_spec("hatchling") is None else ["--no-build-isolation"]
    _pip("wheel", "--quiet", "--no-deps", *isolation, "--wheel-dir", str(folder), str(ROOT))
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module", params=["this Python, newest packages", "Python 3.10, oldest packages"])
def bcli(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the console script of a clean environment."""
    oldest = "oldest" in request.param
    python = _python_3_10() if oldest else sys.executable
    if python is None:
        pytest.skip("there is no Python 3.10 on this machine")
    venv = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True)
    _pip("--python", str(venv), "install", "--quiet", str(wheel), *(OLDEST if oldest else ()))
    return venv / "bin" / "bcli"


def _run(bcli: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # From a folder that is not the checkout, so that only the wheel can be what runs.
    return subprocess.run(
        [bcli, *arguments], cwd=bcli.parent, env=os.environ, capture_output=True, text=True, check=False
    )


def test_it_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names}
    assert packages == {"baichuan_cli", f"baichuan_cli-{__version__}.dist-info"}
    held = {name.removeprefix("baichuan_cli/") for name in names}
    assert {f"profiles/{path.name}" for path in (ROOT / "profiles").iterdir()} <= held
    source = ROOT / "src" / "baichuan_cli"
    for demo in ("demo", "demo-alibi"):
        assert {f"demo/{demo}/{path.name}" for path in (source / "demo" / demo).iterdir()} <= held
    assert "catalog/models.yaml" in held
    assert not [name for name in names if "test" in name.lower() or name.endswith((".pyc", ".log"))]
    assert wheel.stat().st_size < 25e6


def test_vllm_finds_the_plugin_by_its_entry_point(bcli: Path) -> None:
    look = "from importlib.metadata import entry_points; print(*entry_points(group='vllm.general_plugins'))"
    done = subprocess.run([bcli.with_name("python"), "-c", look], capture_output=True, text=True, check=True)
    assert "value='baichuan_cli.vllm_plugin:register'" in done.stdout


def test_version_and_help(bcli: Path) -> None:
    assert _run(bcli, "--version").stdout == f"bcli {__version__}\n"
    for command in ([], ["generate"], ["models"], ["profiles"]):
        done = _run(bcli, *command, "--help")
        assert done.returncode == 0, done.stderr
        assert "Usage: bcli" in done.stdout


def test_a_model_is_downloaded_from_a_hub(bcli: Path, tmp_path: Path) -> None:
    with running_hub() as hub:
        hub.add(
            "baichuan-inc/Baichuan-7B",
            {path.name: path.read_bytes() for path in demo_path("demo").iterdir() if path.is_file()},
        )
        environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [bcli, "download", "baichuan-7b", "--source", "huggingface", "--quiet"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "model.safetensors").is_file()


def test_profiles_and_models_are_there(bcli: Path) -> None:
    profiles = _run(bcli, "profiles", "list")
    assert profiles.returncode == 0, profiles.stderr
    for path in (ROOT / "profiles").glob("*.yaml"):
        assert path.stem in profiles.stdout
    models = _run(bcli, "models", "list", "--json")
    assert models.returncode == 0, models.stderr
    names = {model["name"] for model in json.loads(models.stdout)["models"]}
    assert {"demo", "demo-alibi", "baichuan2-7b-chat"} <= names
    assert _run(bcli, "profiles", "detect").returncode == 0
    assert _run(bcli, "models", "show", "demo").returncode == 0


def test_a_plan_for_another_machine_needs_no_vllm(bcli: Path) -> None:
    done = _run(bcli, "generate", "--explain", "--vllm-version", "0.5.0", "--profile", "k100")
    assert done.returncode == 0, done.stderr + done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["setting", "value", "from", "because"]
    assert rows[1][:4] == ["dtype", "float16", "profile", "k100"]


def test_without_vllm_it_says_how_to_get_it(bcli: Path) -> None:
    done = _run(bcli, "generate", "--prompt", "x")
    assert done.returncode == ExitCode.ENGINE
    assert done.stdout == ""
    assert done.stderr.startswith("error: vLLM is not installed in this Python environment.\n")
    assert "make demo (CPU), or pip install '.[cuda]' (NVIDIA)" in done.stderr


def test_a_mistake_is_told_without_a_traceback(bcli: Path) -> None:
    done = _run(bcli, "generate", "--prompt", "x", "--max-tokns", "3")
    assert done.returncode == ExitCode.USAGE
    assert "--max-tokens" in done.stderr
    assert "Traceback" not in done.stderr
