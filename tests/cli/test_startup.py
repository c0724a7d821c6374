"""`bcli --help` answers at once: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

# Typer itself imports pydantic for some option types.
HEAVY = ("torch", "vllm", "transformers", "tokenizers", "huggingface_hub", "aiohttp", "yaml", "numpy")
HEAVY += ("prompt_toolkit", "gradio", "fastapi", "uvicorn")

SCRIPT = f"""
import sys
sys.argv = ["bcli", *sys.argv[1:]]
from baichuan_cli.__main__ import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def test_help_imports_nothing_heavy() -> None:
    for command in (
        [],
        ["generate"],
        ["models"],
        ["profiles"],
        ["bench"],
        ["bench", "latency"],
        ["bench", "serve"],
        ["bench", "report"],
        ["bench", "tune"],
        ["doctor"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *command, "--help"], capture_output=True, text=True, check=True
        )
        assert "Usage" in done.stdout
        assert done.stderr.strip() == "[]", command
