"""Write the pages under `docs/profiles/` from the plans, or tell whether they are out of date.

    python tools/write_profile_tables.py            # write
    python tools/write_profile_tables.py --check    # exit 1 if writing would change a page

Nothing of this machine goes into them: the machines are described in `profile_tables/scenes.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from profile_tables.page import page
from profile_tables.plans import shipped_profile
from profile_tables.scenes import SCENES, models

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "profiles"


def render() -> dict[Path, str]:
    """Return the pages by their files."""
    every_model = models()
    return {
        FOLDER / f"{name}.md": page(name, shipped_profile(name).title, scenes, every_model)
        for name, scenes in SCENES.items()
    }


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check compare them."""
    pages = render()
    if arguments != ["--check"]:
        FOLDER.mkdir(exist_ok=True)
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    changed = [path.name for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]
    if changed:
        print(f"docs/profiles: {', '.join(changed)} no longer match the plans.", file=sys.stderr)
        print("Look at what has changed (git diff) after writing them anew: make docs", file=sys.stderr)
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
