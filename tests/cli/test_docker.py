"""`bcli docker`: what it prints, and where it has nothing to print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from baichuan_cli.errors import ExitCode
from cli.in_process import Bcli, run_bcli

BARE = """\
title: A box
kind: cuda
hardware: {dtypes: [float16]}
"""


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    return lambda *arguments: run_bcli(arguments, monkeypatch, capfd)


def test_stdout_is_a_script(bcli: Bcli) -> None:
    done = bcli("docker", "baichuan2-7b-chat", "--profile", "z100l")
    assert (done.code, done.stderr) == (ExitCode.OK, "")
    assert done.stdout.startswith("# bcli on Hygon Z100L (and Z100), 32 GB. In the folder of bcli's source;")
    assert done.stdout.endswith("    bcli:z100l serve baichuan2-7b-chat\n")


def test_the_profile_may_come_from_the_environment_and_the_configuration(
    bcli: Bcli, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolation / "config").mkdir()
    (isolation / "config" / "config.yaml").write_text("profile: k100\n")
    assert "bcli:k100 serve demo" in bcli("docker").stdout
    monkeypatch.setenv("BCLI_PROFILE", "z100l")
    assert "bcli:z100l serve demo" in bcli("docker").stdout
    assert "bcli:cpu serve demo" in bcli("docker", "--profile", "cpu").stdout


def test_stdout_is_a_compose_file(bcli: Bcli) -> None:
    done = bcli("docker", "--profile", "cpu", "--compose")
    assert yaml.safe_load(done.stdout)["services"]["baichuan"]["command"] == ["serve", "demo"]


def test_json_has_all_of_it(bcli: Bcli) -> None:
    told = json.loads(bcli("docker", "--profile", "cpu", "--json").stdout)
    assert told.keys() == {"schema", "profile", "image", "build", "run", "compose"}
    assert (told["schema"], told["profile"], told["image"]) == ("bcli.docker/1", "cpu", "bcli:cpu")
    assert told["build"] == (
        "docker build --tag bcli:cpu --build-arg BASE=python:3.12-slim-bookworm --build-arg EXTRA=cpu"
        " --build-arg RUN_AS=bcli ."
    )
    assert told["run"].endswith("bcli:cpu serve demo")


def test_a_folder_is_mounted(bcli: Bcli, tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    done = bcli("docker", str(tmp_path), "--profile", "cpu")
    assert f"    --volume={tmp_path}:/models/{tmp_path.name}:ro \\\n" in done.stdout
    assert done.stdout.endswith(f"bcli:cpu serve /models/{tmp_path.name}\n")


def test_a_profile_without_a_container(bcli: Bcli, tmp_path: Path) -> None:
    path = tmp_path / "box.yaml"
    path.write_text(BARE, encoding="utf-8")
    done = bcli("docker", "--profile", str(path))
    assert (done.code, done.stdout) == (ExitCode.NOT_FOUND, "")
    assert done.stderr.startswith("error: The profile box says nothing about containers.\n")
