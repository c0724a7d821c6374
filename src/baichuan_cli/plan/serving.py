"""What vLLM's server is told besides the engine's settings: where it listens, how it chats, what it keeps quiet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID
from baichuan_cli.chat_templates import template_path
from baichuan_cli.plan.model import Finding, Plan, Setting
from baichuan_cli.plan.releases import GENERATION_CONFIG, LOGS_PROMPTS
from baichuan_cli.plan.render import sampling_kwargs

_BCLI = "bcli default"
_RULE = "rule server"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What is asked of the server itself. The engine's settings and the sampling are in the plan."""

    host: str = "127.0.0.1"
    port: int = 8000
    served_model_names: tuple[str, ...] = ()  # empty: what the model is called
    api_key: str | None = field(default=None, repr=False)
    chat_template: Path | None = None  # None: the shipped one of the model's family
    allowed_origins: tuple[str, ...] = ()  # web pages of these addresses may use the server; "*" is all
    ssl_keyfile: Path | None = None
    ssl_certfile: Path | None = None
    access_log: bool = True  # a line in vLLM's log for each request, without its text
    extra_arguments: tuple[str, ...] = ()  # for vLLM as they are

    @property
    def url(self) -> str:
        """Return the base URL for a client on this machine, `/v1` included."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http{'s' if self.ssl_certfile else ''}://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def plan_server(plan: Plan, options: ServeOptions, state_dir: Path) -> Plan:
    """Return the plan with the server's settings, by the names of vLLM's arguments, and what speaks against them.

    Args:
        plan: made for the purpose `server`.
        options: what is asked of the server.
        state_dir: where `generation_config` would write the sampling defaults.
    """
    settings = dict(_settings(plan, options, state_dir))
    return replace(plan, server=settings, findings=(*plan.findings, *_findings(plan, options)))


def generation_config(plan: Plan) -> dict[str, object]:
    """Return the content of a `generation_config.json` with what holds for every request that says nothing else.

    vLLM takes what ends an answer from there too: the ids under `eos_token_id`.
    """
    content = sampling_kwargs(plan)
    content["eos_token_id"] = content.pop("stop_token_ids")
    if plan.sampling["max_tokens"].source != _BCLI:
        content["max_new_tokens"] = content["max_tokens"]
    known = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens", "eos_token_id")
    return {name: content[name] for name in known if name in content}


def _settings(plan: Plan, options: ServeOptions, state_dir: Path) -> Iterator[tuple[str, Setting]]:
    default = ServeOptions()
    yield "host", Setting(options.host, _source("--host", options.host != default.host), "")
    yield "port", Setting(options.port, _source("--port", options.port != default.port), "")
    if options.served_model_names:
        yield "served_model_name", Setting(options.served_model_names, "--served-model-name", "")
    else:
        yield "served_model_name", Setting((PurePath(plan.model.name).name,), "model", "what it is called here")
    yield "chat_template", _chat_template(plan, options)
    if plan.release.matches(GENERATION_CONFIG):
        digest = hashlib.sha256(json.dumps(generation_config(plan)).encode()).hexdigest()[:12]
        folder = state_dir / f"generation-config-{digest}"
        reason = "the sampling below, for requests that say nothing else, and what ends an answer"
        yield "generation_config", Setting(str(folder), "model", reason)
    if plan.release.matches(LOGS_PROMPTS):
        yield "disable_log_requests", Setting(True, _RULE, f"vLLM {plan.release} writes every prompt into its log")
    origins = Setting(options.allowed_origins, "--allowed-origins", "")
    if not options.allowed_origins:
        origins = Setting((), _RULE, "no web page elsewhere may use the server; vLLM's older default was all")
    yield "allowed_origins", origins
    for name in ("ssl_keyfile", "ssl_certfile"):
        if path := getattr(options, name):
            yield name, Setting(str(path), "--" + name.replace("_", "-"), "")
    if not options.access_log:
        yield "uvicorn_log_level", Setting("warning", _RULE, "no line in the log for every request")


def _source(option: str, given: bool) -> str:
    return option if given else _BCLI


def _chat_template(plan: Plan, options: ServeOptions) -> Setting:
    family = plan.model.chat_family
    if options.chat_template:
        return Setting(str(options.chat_template), "--chat-template", "")
    reason = {
        "baichuan1": "near the official layout of Baichuan 1",
        "baichuan2": "the official layout of Baichuan 2, token for token",
        None: "a base model has no chat format: a chat gets an error",
    }[family]
    return Setting(str(template_path(family)), "model", reason)


def _findings(plan: Plan, options: ServeOptions) -> Iterator[Finding]:
    family = plan.model.chat_family
    if options.chat_template is None and family is None:
        yield Finding(
            "warning",
            "chat_template",
            f"{plan.model.name} is a base model: /v1/chat/completions answers with an error, /v1/completions works",
        )
    if options.chat_template is None and family == "baichuan1":
        yield Finding(
            "warning",
            "chat_template",
            "over /v1/chat/completions Baichuan 1 gets tokens near the official ones: no text template can say them"
            " exactly",
            "Exact are bcli chat, bcli generate --chat, and prompts as token ids over /v1/completions.",
        )
    if not plan.release.matches(GENERATION_CONFIG):
        wanted = {name: value for name, value in generation_config(plan).items() if name != "eos_token_id"}
        stops = f" and stop_token_ids [{USER_ID}, {ASSISTANT_ID}]" if family else ""
        yield Finding(
            "warning",
            "sampling_defaults",
            f"the server of vLLM {plan.release} does not read the model's sampling defaults",
            f"Send with each request: {', '.join(f'{name} {value}' for name, value in wanted.items())}{stops}.",
        )
