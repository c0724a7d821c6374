"""A plan in vLLM's own words: keyword arguments, a command line, environment variables.

What the plan leaves to vLLM is not rendered at all, so that vLLM's own choice stays vLLM's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from baichuan_cli.plan.model import Plan, SettingValue
from baichuan_cli.plan.releases import (
    ATTENTION_CONFIG,
    NEGATED_FLAGS,
    PLUGINS,
    SPLIT_WITHOUT_PLUGINS,
    engine_arguments,
)

#: Features that recent releases switch on by themselves, so that off must be said.
_ON_BY_DEFAULT = ("enable_prefix_caching", "enable_chunked_prefill")

#: Lists that vLLM's command line takes as JSON; of the others it takes several values.
_JSON_LISTS = ("allowed_origins",)


def llm_kwargs(plan: Plan) -> dict[str, object]:
    """Return the keyword arguments of `vllm.LLM`."""
    decided = _engine_settings(plan)
    attention = _attention_config(plan)
    if attention and plan.release.matches(ATTENTION_CONFIG):
        decided["attention_config"] = attention
    return {"model": str(plan.model.path or plan.model.name), **decided}


def server_command(plan: Plan) -> list[str]:
    """Return the arguments for Python that start vLLM's OpenAI server.

    The console script `vllm` is left out: it came with 0.5.2, and that of the CPU wheel does not start. Where vLLM
    loads no plugins, a module of the plugin registers itself and then runs vLLM's.
    """
    if headless(plan):
        # Only `vllm serve` has it, and it takes the model without a flag.
        _, model, *arguments = server_arguments(plan)
        return ["-m", "vllm.entrypoints.cli.main", "serve", model, *arguments, "--headless"]
    if not plan.release.matches(PLUGINS):
        return ["-m", "baichuan_cli.vllm_plugin.api_server", *server_arguments(plan)]
    return ["-m", "vllm.entrypoints.openai.api_server", *server_arguments(plan)]


def headless(plan: Plan) -> bool:
    """Tell whether this machine only computes for a server on another one."""
    return bool(plan.settings["node_rank"].value)


def server_arguments(plan: Plan) -> list[str]:
    """Return the arguments of vLLM's OpenAI server (`python -m vllm.entrypoints.openai.api_server`)."""
    arguments: list[str] = []
    server = {name: setting.value for name, setting in plan.server.items()}
    for name, value in (*llm_kwargs(plan).items(), *server.items()):
        flag = "--" + name.replace("_", "-")
        match value:
            case True:
                arguments.append(flag)
            case False:
                if name in _ON_BY_DEFAULT and plan.release.matches(NEGATED_FLAGS):
                    arguments.append(f"--no-{flag.removeprefix('--')}")
            case Mapping():
                arguments += [flag, json.dumps(value)]
            case tuple() if name in _JSON_LISTS:
                arguments += [flag, json.dumps(value)]
            case tuple():
                arguments += [flag, *map(str, value)]
            case _:
                arguments += [flag, str(value)]
    if server and plan.release.matches(SPLIT_WITHOUT_PLUGINS):
        arguments.append("--disable-frontend-multiprocessing")
    return arguments


def environment(plan: Plan) -> dict[str, str]:
    """Return the environment variables that must be set before vLLM is imported."""
    variables = {name: str(setting.value) for name, setting in plan.environment.items()}
    backend = plan.settings["attention_backend"].value
    if backend is not None and not plan.release.matches(ATTENTION_CONFIG):
        variables["VLLM_ATTENTION_BACKEND"] = str(backend)
    return variables


def sampling_kwargs(plan: Plan) -> dict[str, object]:
    """Return the keyword arguments of `vllm.SamplingParams` that hold for every request."""
    return {name: _plain(setting.value) for name, setting in plan.sampling.items()}


def _engine_settings(plan: Plan) -> dict[str, object]:
    known = engine_arguments(plan.release)
    return {
        name: setting.value
        for name, setting in plan.settings.items()
        if name in known
        and setting.value is not None
        and setting.source != "vLLM default"
        # vLLM reads the method from the checkpoint; naming gptq would keep it from the faster gptq_marlin.
        and (name, setting.source) != ("quantization", "model")
    }


def _attention_config(plan: Plan) -> dict[str, object]:
    config = plan.settings.get("attention_config")
    options = dict(config.value) if config and isinstance(config.value, Mapping) else {}
    backend = plan.settings["attention_backend"].value
    return {**options, "backend": backend} if backend is not None else options


def _plain(value: SettingValue) -> object:
    return list(value) if isinstance(value, tuple) else value
