"""The rungs of detection that ask a vendor's tool: hy-smi, nvidia-smi, rocminfo, and last of all torch itself."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from baichuan_cli.hardware.cards import Vendor, hygon_architecture, hygon_card
from baichuan_cli.hardware.machine import Device
from baichuan_cli.hardware.probes import Look, Step, summarize
from baichuan_cli.hardware.system import CommandResult, System
from baichuan_cli.sizes import MIB

#: Run by a Python of its own: a driver that hangs or crashes takes only that process with it, and this process stays
#: free to set HIP_VISIBLE_DEVICES or to fork. It names every card, as the other tools do; `visible` takes its pick.
_TORCH_PROGRAM = """
import os
for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
    os.environ.pop(name, None)
import json, torch
hip = torch.version.hip is not None
cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
print(json.dumps([
    [c.name, c.gcnArchName.split(":")[0] if hip else f"sm_{c.major}{c.minor}", c.total_memory] for c in cards
]))
"""


def hy_smi(system: System) -> Look:
    """Ask Hygon's tool for names, device ids and memory."""
    command = [
        system.tool("hy-smi", "/opt/hyhal/bin"),
        "--showid",
        "--showproductname",
        "--showmeminfo",
        "vram",
        "--json",
    ]
    result = system.run(command)
    cards = _json(result.stdout[max(result.stdout.find("{"), 0) :])
    if not isinstance(cards, dict):
        return _nothing("hy-smi", result)
    devices = tuple(
        _hygon_device(card) for name, card in cards.items() if name.startswith("card") and isinstance(card, dict)
    )
    return _found("hy-smi", result, devices, "hygon")


def _hygon_device(card: dict[str, Any]) -> Device:
    name, architecture = hygon_card(_whole(card.get("Device ID"), base=16))
    series = str(card.get("Card Series") or name)
    # Older tools write "VRAM Total Memory (B)".
    sizes = {key.lower(): _whole(value) for key, value in card.items()}
    memory = sizes.get("vram total memory (mib)", 0) * MIB or sizes.get("vram total memory (b)", 0)
    return Device(series, architecture or hygon_architecture(series), memory or None)


def nvidia_smi(system: System) -> Look:
    """Ask NVIDIA's tool for names, memory and compute capability."""
    query = ["--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    result = system.run([system.tool("nvidia-smi", "/usr/lib/wsl/lib"), *query])
    lines = [re.fullmatch(r"(.+), (\d+|\[[^,]*\]), (\d+)\.(\d+)", line.strip()) for line in result.stdout.splitlines()]
    devices = tuple(
        Device(line[1], f"sm_{line[3]}{line[4]}", _whole(line[2]) * MIB or None) for line in lines if line is not None
    )
    return _found("nvidia-smi", result, devices, "nvidia")


def rocminfo(system: System, folder: str) -> Look:
    """Ask the ROCm runtime, AMD's in `/opt/rocm` or Hygon's in `/opt/dtk`, for names, architectures and memory."""
    result = system.run([system.tool("rocminfo", f"{folder}/bin")])
    agents = re.split(r"^\*+ *\nAgent \d+ *\n\*+ *\n", result.stdout, flags=re.MULTILINE)[1:]
    devices = tuple(device for agent in agents if (device := _agent_device(agent)) is not None)
    # DTK's own rocminfo says "hygon module is loaded" where AMD's says "ROCk module is loaded".
    return _found("rocminfo", result, devices, "hygon" if "hygon" in result.stdout.lower() else "amd")


def _agent_device(agent: str) -> Device | None:
    architecture = re.search(r"^ *Name: +(gfx[0-9a-f]+)\b", agent, flags=re.MULTILINE)
    if architecture is None:
        return None
    name = re.search(r"^ *Marketing Name: +(\S.*?) *$", agent, flags=re.MULTILINE)
    pools = re.findall(r"Segment: +GLOBAL.*\n *Size: +(\d+)\(", agent)
    memory = max((int(kibibytes) * 1024 for kibibytes in pools), default=0)
    return Device(name[1] if name else architecture[1], architecture[1], memory or None)


def torch_devices(system: System, vendor: Vendor) -> Look:
    """Ask torch: slow, so it is the last rung."""
    result = system.run([sys.executable, "-c", _TORCH_PROGRAM])
    # Whatever else a vendor's torch prints, the last line is the program's.
    cards = _json((result.stdout.strip().splitlines() or [""])[-1])
    devices = tuple(
        Device(*card)
        for card in (cards if isinstance(cards, list) else ())
        if isinstance(card, list) and [type(fact) for fact in card] == [str, str, int]
    )
    return _found("torch", result, devices, vendor)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _whole(value: object, base: int = 10) -> int:
    try:
        return int(str(value), base)
    except ValueError:
        return 0


def _found(tool: str, result: CommandResult, devices: tuple[Device, ...], vendor: Vendor) -> Look:
    if not devices:
        return _nothing(tool, result)
    return Look(Step(tool, summarize(devices)), frozenset({vendor}), devices)


def _nothing(tool: str, result: CommandResult) -> Look:
    if result.problem:
        return Look(Step(tool, result.problem))
    first = next(iter(result.stdout.strip().splitlines()), "")
    return Look(Step(tool, f"an answer that names no card: {first[:60]!r}" if first else "an empty answer"))
