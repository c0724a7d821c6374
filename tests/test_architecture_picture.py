"""docs/architecture.svg: it can be drawn, and what it names is there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"


def test_every_part_in_the_picture_exists() -> None:
    drawn = ET.parse(PICTURE)
    texts = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    named = {name for text in texts for name in re.findall(r"[a-z_]+/[a-z_]*(?:\.py)?(?:/)?", text)}
    assert {"plan/resolve.py", "engine/server.py", "vllm_plugin/"} <= named
    package = ROOT / "src" / "baichuan_cli"
    assert [name for name in sorted(named) if not (package / name).exists() and not (ROOT / name).exists()] == []


def test_nothing_is_drawn_outside() -> None:
    drawn = ET.parse(PICTURE).getroot()
    width, height = int(drawn.attrib["width"]), int(drawn.attrib["height"])
    for box in drawn.iter("{http://www.w3.org/2000/svg}rect"):
        right = float(box.attrib.get("x", 0)) + float(box.attrib["width"])
        bottom = float(box.attrib.get("y", 0)) + float(box.attrib["height"])
        assert right <= width and bottom <= height
