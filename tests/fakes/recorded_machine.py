"""Machines that are not here: a tree of files for /sys, /proc and /dev, and recorded answers of the vendors' tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from baichuan_cli.hardware.system import CommandResult, System

RECORDED = Path(__file__).parent.parent / "hardware" / "recorded"

_TORCH = """from typing import Optional
__version__ = '{version}'
cuda: Optional[str] = {cuda}
hip: Optional[str] = {hip}
"""


@dataclass
class RecordedMachine:
    """A machine to be put together by a test; `system` is what detection gets to see."""

    root: Path
    answers: dict[str, CommandResult] = field(default_factory=dict)  # by the tool's bare name
    environment: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)  # device files that this user may not open
    cores: int = 64
    asked: list[str] = field(default_factory=list)  # tools that detection started

    def files(self, texts: Mapping[str, str]) -> None:
        """Write files by absolute path."""
        for path, text in texts.items():
            file = self.root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def pci(self, *cards: tuple[str, str, str]) -> None:
        """Put cards on the PCI bus: vendor, device and class as sysfs writes them."""
        for slot, (vendor, device, kind) in enumerate(cards):
            folder = f"/sys/bus/pci/devices/0000:{slot:02x}:00.0"
            self.files({f"{folder}/vendor": vendor, f"{folder}/device": device, f"{folder}/class": kind})

    def torch(self, version: str, *, cuda: str = "None", hip: str = "None") -> None:
        """Install torch, as far as its version file goes."""
        self.files({"/site/torch/version.py": _TORCH.format(version=version, cuda=cuda, hip=hip)})

    @staticmethod
    def recorded(name: str) -> str:
        """Return a recorded text."""
        return (RECORDED / name).read_text(encoding="utf-8")

    def says(self, tool: str, recorded: str) -> None:
        """Let a tool answer with a recorded file."""
        self.answers[tool] = CommandResult(self.recorded(recorded))

    @property
    def system(self) -> System:
        torch = self.root / "site/torch"
        return System(
            root=self.root,
            run=self._run,
            environment=self.environment,
            may_open=lambda path: f"/{path.relative_to(self.root)}" not in self.closed,
            torch_folder=lambda: torch if torch.exists() else None,
            allowed_cores=lambda: self.cores,
            prefix="/venv",
        )

    def _run(self, command: Sequence[str]) -> CommandResult:
        tool = "torch" if "import json, torch" in command[-1] else Path(command[0]).name
        self.asked.append(tool)
        return self.answers.get(tool, CommandResult(problem="not found"))


def bare_machine(root: Path) -> RecordedMachine:
    """Return a machine without any card."""
    bare = RecordedMachine(root)
    bare.files({"/proc/meminfo": "MemTotal:       527976448 kB\nMemFree: 1 kB\n", "/proc/self/cgroup": "0::/\n"})
    return bare
