"""Make an environment with upstream vLLM 0.5.0 for the CPU: Python 3.10, AVX-512, g++, about ten minutes and 6 GB.

    python3 tools/build_vllm_0_5_0.py FOLDER

PyPI has the release for CUDA only. Its source package holds the C++ files of the CPU backend, which are compiled here
against the torch of `vllm-0.5.0.txt`; the Python package is copied as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RELEASE = "0.5.0"
REQUIREMENTS = Path(__file__).with_name("vllm-0.5.0.txt")
BUILD_TOOLS = ("pip<25", "setuptools<70", "wheel", "packaging", "cmake==3.28.4", "ninja")

# As vLLM's own build has them; torch 2.3's wheels use the old C++ ABI.
FLAGS = (
    *("-O2", "-std=c++17", "-fPIC", "-fopenmp"),
    *("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq"),
    *("-DVLLM_CPU_EXTENSION", "-DTORCH_EXTENSION_NAME=_C", "-DPy_LIMITED_API=3", "-D_GLIBCXX_USE_CXX11_ABI=0"),
)
# The source package's setup.py asks the CUDA compiler for its version, whatever it builds for.
COMPILER_OF_CUDA = "#!/bin/sh\necho 'Cuda compilation tools, release 12.1, V12.1.105'\n"


def python_3_10() -> str | None:
    """Return a Python 3.10 from PYTHON310, the search path or pyenv."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.10.*/bin/python"))
    # pyenv's commands on the search path do nothing for a version that is not switched on.
    found = os.environ.get("PYTHON310") or (pyenv[-1] if pyenv else shutil.which("python3.10"))
    return str(found) if found else None


def run(*command: str | Path, **environment: str) -> None:
    """Run a command, and end everything where it fails."""
    subprocess.run(list(map(str, command)), check=True, env=os.environ | environment)


def build(folder: Path, python310: str) -> None:
    """Make the environment."""
    run(python310, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *BUILD_TOOLS)
    run(python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS)
    with tempfile.TemporaryDirectory() as work:
        source = fetch_source(python, Path(work))
        packages = folder / "lib" / "python3.10" / "site-packages"
        compile_extension(python, source, packages)
        run_in_source(python, source, "setup.py", "--quiet", "egg_info")
        shutil.copytree(source / "vllm", packages / "vllm", dirs_exist_ok=True)
        # vLLM takes the CPU for its device when its version says so.
        shutil.copytree(source / "vllm.egg-info", packages / f"vllm-{RELEASE}+cpu.egg-info", dirs_exist_ok=True)
    run(python, "-c", "import vllm._C; from vllm.utils import is_cpu; assert is_cpu()")


def fetch_source(python: Path, work: Path) -> Path:
    """Download and unpack the source package; return its folder."""
    compiler = work / "cuda" / "bin" / "nvcc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text(COMPILER_OF_CUDA)
    compiler.chmod(0o755)
    options = ("--quiet", "--no-deps", "--no-binary", "vllm", "--no-build-isolation", "--dest", work)
    run(python, "-m", "pip", "download", *options, f"vllm=={RELEASE}", CUDA_HOME=str(work / "cuda"))
    with tarfile.open(work / f"vllm-{RELEASE}.tar.gz") as archive:
        archive.extractall(work)
    return work / f"vllm-{RELEASE}"


def run_in_source(python: Path, source: Path, *arguments: str) -> None:
    """Run Python in the folder of the source package, set for the CPU."""
    environment = os.environ | {"VLLM_TARGET_DEVICE": "cpu"}
    subprocess.run([str(python.absolute()), *arguments], check=True, cwd=source, env=environment)


def compile_extension(python: Path, source: Path, packages: Path) -> None:
    """Compile the CPU backend's C++ files, and link them into the package."""
    look = "import sysconfig; print(sysconfig.get_paths()['include'])"
    headers = subprocess.run([python, "-c", look], check=True, capture_output=True, text=True).stdout.strip()
    torch = packages.absolute() / "torch"
    includes = (
        f"-I{source / 'csrc'}",
        *(f"-isystem{folder}" for folder in (torch / "include", torch / "include/torch/csrc/api/include", headers)),
    )
    files = sorted((source / "csrc" / "cpu").glob("*.cpp"))
    objects = [file.with_suffix(".o") for file in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = [
            pool.submit(run, "g++", *FLAGS, *includes, "-c", file, "-o", target)
            for file, target in zip(files, objects, strict=True)
        ]
        for each in compiled:
            each.result()
    libraries = (f"-L{torch / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", "-fopenmp")
    extension = source / "vllm" / "_C.abi3.so"
    run("g++", "-shared", "-o", extension, *objects, *libraries, "-Wl,-rpath,$ORIGIN/../torch/lib")


def main(arguments: list[str]) -> int:
    """Make the environment in the folder that is named, or say why it cannot be made."""
    if len(arguments) != 1:
        print("usage: python3 tools/build_vllm_0_5_0.py FOLDER", file=sys.stderr)
        return 2
    if "avx512f" not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        print(f"vLLM {RELEASE} needs AVX-512 on a CPU, which this processor does not have.", file=sys.stderr)
        return 1
    python310 = python_3_10()
    if python310 is None:
        print(f"vLLM {RELEASE} needs Python 3.10; name one: PYTHON310=/usr/bin/python3.10", file=sys.stderr)
        return 1
    build(Path(arguments[0]), python310)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
