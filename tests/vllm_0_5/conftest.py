"""What is special about vLLM 0.5, the release in the images for K100 and Z100L. `make compat-0.5.0` runs it there.

With any other vLLM nothing of this folder is collected.
"""

from __future__ import annotations

from baichuan_cli.engine.installed import installed_release

_release = installed_release()
if _release is None or not _release.matches("<0.5.5"):
    collect_ignore_glob = ["test_*.py"]
