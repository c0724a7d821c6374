"""torch, vLLM, transformers and what they drag in: there, built for this hardware, and importable."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.checks.builds import NAMES, NEEDED, profile_vendor, torch_build, vllm_build, wanted_vendor
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.facts.imports import STEPS
from baichuan_cli.doctor.verdict import Verdict, fail, ok, skip, warn
from baichuan_cli.engine.failures import recognise
from baichuan_cli.plan.releases import PLUGINS

INSTALL = (
    "In the folder of bcli's source: make demo (CPU), or pip install '.[cuda]' (NVIDIA).\n"
    "On a DCU or AMD card use the vendor's image, and install bcli into it: python3 tools/install_beside.py"
)
#: Packages for pictures and sounds that vLLM and transformers import where they are, and that Baichuan never needs.
_EXTENSIONS = ("torchvision", "torchaudio")
_LONGEST_ERROR = 160  # characters


def torch(facts: Facts) -> Iterator[Verdict]:
    """Judge torch: it imports, and reaches the cards."""
    error, built, build = facts.imports.errors.get("torch"), facts.imports.torch, torch_build(facts)
    if error is None:
        if facts.release is not None:
            yield fail("torch", "not installed", "It comes with vLLM.")
    elif error or built is None or build is None:
        yield _broken("torch", error or "it does not say what it is")
    elif (needed := vllm_build(facts)) is not None and needed == "hip" != build:
        yield fail(
            "torch",
            f"{built.version} was built for {NAMES[build]}, and vLLM {facts.release} needs one for {NAMES[needed]}",
            "pip has replaced the vendor's torch. Start again from the image, with: python3 tools/install_beside.py",
        )
    elif profile_vendor(facts) is not None and wanted_vendor(facts) is not None and not built.available:
        yield fail(
            "torch",
            f"{built.version}, built for {NAMES[build]}, does not reach the card",
            "Is another program at fault? Look at the driver's messages: sudo dmesg | tail",
        )
    else:
        reached = f", reaches {built.cards} card{'s' if built.cards > 1 else ''}" if built.available else ""
        yield ok("torch", f"{built.version}, built for {NAMES[build]}{reached}")


def vllm(facts: Facts) -> Iterator[Verdict]:
    """Judge vLLM: it is there, built for this hardware, and imports."""
    if facts.release is None:
        yield fail("vllm", "not installed in this Python environment", INSTALL)
        return
    build, kind = vllm_build(facts), facts.choice.kind
    error = facts.imports.errors.get("vllm", "Python does not find it")
    if (
        build is not None
        and kind is not None
        and build != NEEDED[kind]
        and not (kind == "cpu" and wanted_vendor(facts))
    ):
        yield fail(
            "vllm",
            f"{facts.release} was built for {NAMES[build]}, and the profile {facts.choice.profile} needs"
            f" {NAMES[NEEDED[kind]]}",
            INSTALL,
        )
    elif error and (blamed := _blamed(facts)):
        yield skip("vllm", f"{facts.release}; not judged, for {blamed} is broken")
    elif error:
        yield _broken("vllm", error, str(facts.release))
    else:
        yield ok("vllm", f"{facts.release}, built for {NAMES[build]}" if build else str(facts.release))


def transformers(facts: Facts) -> Iterator[Verdict]:
    """Judge transformers, which reads configurations and tokenizers for vLLM."""
    error, version = facts.imports.errors.get("transformers"), facts.packages.version("transformers")
    if error is None:
        if facts.release is not None:
            yield fail("transformers", "not installed", "It comes with vLLM.")
    elif error and (blamed := _blamed(facts)):
        yield skip("transformers", f"{version}; not judged, for {blamed} is broken")
    elif error:
        yield _broken("transformers", error, version)
    else:
        others = [(name, facts.packages.version(name)) for name in ("tokenizers", "huggingface-hub")]
        yield ok("transformers", ", ".join([version, *(f"{name} {found}" for name, found in others if found)]))


def triton(facts: Facts) -> Iterator[Verdict]:
    """Judge Triton, which compiles kernels of vLLM's on every card; the CPU needs none."""
    if wanted_vendor(facts) is None or facts.release is None:
        return
    error, version = facts.imports.errors.get("triton"), facts.packages.version("triton")
    if error is None:
        yield fail(
            "triton",
            "not installed, and vLLM compiles kernels with it",
            "pip install triton"
            if wanted_vendor(facts) == "nvidia"
            else "Install the one that belongs to this torch.",
        )
    elif error:
        yield _broken("triton", error, version)
    else:
        yield ok("triton", version or "it imports")


def extensions(facts: Facts) -> Iterator[Verdict]:
    """Judge torchvision and torchaudio; built for another torch, they break what imports them."""
    broken = _broken_extensions(facts)
    if not broken:
        return
    harm = fail if facts.imports.errors.get("transformers") or facts.imports.errors.get("vllm") else warn
    installed = [name for name in (*_EXTENSIONS, "torchcodec") if facts.packages.version(name)]
    yield harm(
        "extensions",
        f"{' and '.join(broken)} cannot be imported beside this torch: {_first_line(facts.imports.errors[broken[0]])}",
        f"Baichuan needs none of them: pip uninstall {' '.join(installed or broken)}",
    )


def server(facts: Facts) -> Iterator[Verdict]:
    """Judge vLLM's server: what PyPI has lost can break it while `bcli generate` works."""
    error = facts.imports.errors.get("server")
    if not facts.imports.works("vllm") or error is None:
        return
    if not error:
        yield ok("server", "vLLM's server imports")
        return
    if facts.release is not None and not facts.release.matches(PLUGINS) and facts.imports.works("stand-ins"):
        yield ok("server", "vLLM's server imports with bcli's stand-in for pyairports; by itself it does not")
        return
    cause = recognise(error)
    yield warn(
        "server",
        f"bcli serve and bcli chat will not work. {cause.message if cause else _first_line(error)}",
        cause.hint if cause else f'See all of it: python -c "{STEPS["server"]}"',
    )


def _broken_extensions(facts: Facts) -> list[str]:
    return [name for name in _EXTENSIONS if facts.imports.errors.get(name)]


def _blamed(facts: Facts) -> str:
    """Return the package whose failure makes those fail that import it; empty where none has failed."""
    return "torch" if facts.imports.errors.get("torch") else next(iter(_broken_extensions(facts)), "")


def _broken(step: str, error: str, version: str = "") -> Verdict:
    cause = recognise(error)
    return fail(
        step,
        f"{version or 'it'} cannot be imported: {_first_line(error)}",
        cause.hint if cause else f'See all of it: python -c "{STEPS[step]}"',
    )


def _first_line(error: str) -> str:
    line = error.strip().splitlines()[0] if error.strip() else "no message"
    return line if len(line) <= _LONGEST_ERROR else f"{line[:_LONGEST_ERROR]}…"
