"""A person's own defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.config import Config, load_config
from baichuan_cli.errors import BcliError, ExitCode


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert load_config(tmp_path / "config.yaml") == Config()


def test_everything_a_file_can_say(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: demo\nprofile: k100\nsettings: {max_model_len: 2048}\nsampling: {temperature: 0.3}\n")
    assert load_config(path) == Config("demo", "k100", {"max_model_len": 2048}, {"temperature": 0.3})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modell: demo\n", "modell: unknown; bcli knows model, profile, settings, sampling"),
        ("model: [demo]\n", "model: must be a name"),
        ("settings: 3\n", "settings: must be a mapping of names to values"),
        ("sampling: {1: 2}\n", "sampling: must be a mapping of names to values"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(BcliError) as caught:
        load_config(path)
    assert (caught.value.hint, caught.value.exit_code) == (problem, ExitCode.INVALID)
