"""The two small checkpoints that ship with bcli, so that the first command answers without a download.

`demo` has Baichuan-7B's layout (RoPE), `demo-alibi` Baichuan-13B's (ALiBi, heads no power of two). They recite Tang
poems and prove the path from prompt to answer; they are no assistants. `demo_training/` in the repository makes them.
"""

from __future__ import annotations

from pathlib import Path

DEMO_NAMES = ("demo", "demo-alibi")


def demo_path(name: str) -> Path:
    """Return the folder of the bundled checkpoint `name`.

    Raises:
        KeyError: no bundled checkpoint has this name.
    """
    if name not in DEMO_NAMES:
        raise KeyError(name)
    return Path(__file__).parent / name
