"""How long a start takes: what is compiled, and where it is kept for the next one."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Export, Outcome, Set, Warn
from baichuan_cli.plan.releases import GRAPHS_ALONE

_ASKED = "--fast-start"
_TRITON_CACHE = "TRITON_CACHE_DIR"
_CUDA_CACHE = "CUDA_CACHE_PATH"  # of the driver, for kernels that it translates from PTX


def fast_start(draft: Draft) -> Iterator[Outcome]:
    """Compile nothing where a person wants to start sooner, and keep the graphs of decoding where vLLM can.

    Measured with vLLM 0.26 on an H100, where Baichuan2-7B starts 28 s sooner the first time and 6 s later on: decoding
    loses at most 4 %, and a short prompt waits about 20 ms longer (docs/benchmarks.md). An eager engine compiles
    nothing anyway.
    """
    if not draft.start.fast or draft.settings["enforce_eager"].value is True:
        return
    if draft.profile.kind == "cuda" and draft.release.matches(GRAPHS_ALONE):
        config = {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
        yield Set("compilation_config", config, "nothing is compiled; decoding keeps its CUDA graphs", _ASKED)
    elif "enforce_eager" not in draft.chosen:
        yield Set("enforce_eager", True, "nothing is compiled and nothing captured", _ASKED)
    else:
        source = draft.settings["enforce_eager"].source
        yield Warn(f"{_ASKED} changes nothing: without graphs it would be sooner, and {source} wants them.")


def compile_caches(draft: Draft) -> Iterator[Outcome]:
    """Keep what is compiled where the next start finds it.

    vLLM keeps its graphs in the home folder, and the NVIDIA driver keeps the kernels that it translates there, unless
    a person keeps everything of bcli in one place, as in a container. Triton's kernels go into one folder for all
    models: torch.compile would give each model and each setting one of its own, and vLLM would compile its own kernels
    anew for each, which takes 14 s on an H100 machine with 0.26.
    """
    if draft.profile.kind != "cuda":
        return
    if folder := draft.start.cache_dir:
        kept = {"VLLM_CACHE_ROOT": f"{folder}/vllm", _TRITON_CACHE: f"{folder}/triton", _CUDA_CACHE: f"{folder}/cuda"}
        reason = "kept with everything else in BCLI_HOME"
    elif home := draft.exported.get("HOME"):
        kept, reason = {_TRITON_CACHE: f"{home}/.triton/cache"}, "one folder for all models: the next starts sooner"
    else:
        return
    for name, path in kept.items():
        if name not in draft.exported:
            yield Export(name, path, reason)
