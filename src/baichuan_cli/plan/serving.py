"""What vLLM's server is told besides the engine's settings: where it listens, how it chats, what it keeps quiet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from baichuan_cli.chat_templates import template_path
from baichuan_cli.plan.draft import show
from baichuan_cli.plan.model import Finding, Plan, Setting
from baichuan_cli.plan.releases import GENERATION_CONFIG, LOGS_PROMPTS, takes_generation_config
from baichuan_cli.plan.render import headless, sampling_kwargs

#: Hosts that mean every address of the machine.
EVERY_ADDRESS = ("0.0.0.0", "::")

_BCLI = "bcli default"
_RULE = "rule server"

#: Of vLLM's sampling parameters those that a `generation_config.json` can hold, and what they are called there.
_GENERATION_CONFIG: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "max_tokens": "max_new_tokens",
    "stop_token_ids": "eos_token_id",
}

#: Arguments of vLLM's server that bcli itself must know, and what to do instead.
_OWN_OPTIONS: Mapping[str, str] = {
    **{
        flag: f"Give {flag} before the --."
        for flag in ("--host", "--port", "--model", "--served-model-name", "--ssl-keyfile", "--ssl-certfile")
    },
    "--api-key": "Use --api-key-file, so that the key stands in no command line and in no log.",
    "--uds": "bcli serves over TCP. Use --host and --port.",
}


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What is asked of the server itself. The engine's settings and the sampling are in the plan."""

    host: str = "127.0.0.1"
    port: int = 8000
    served_model_names: tuple[str, ...] = ()  # empty: what the model is called
    api_key: str | None = field(default=None, repr=False)
    insecure: bool = False  # other machines may use it without a key
    chat_template: Path | None = None  # None: the shipped one of the model's family
    allowed_origins: tuple[str, ...] = ()  # web pages of these addresses may use the server; "*" is all
    ssl_keyfile: Path | None = None
    ssl_certfile: Path | None = None
    access_log: bool = True  # a line in vLLM's log for each request, without its text
    extra_arguments: tuple[str, ...] = ()  # for vLLM as they are

    @property
    def private(self) -> bool:
        """Tell whether only this machine can reach the server."""
        return self.host == "localhost" or self.host == "::1" or self.host.startswith("127.")

    @property
    def url(self) -> str:
        """Return the base URL for a client on this machine, `/v1` included."""
        host = dict(zip(EVERY_ADDRESS, ("127.0.0.1", "::1"), strict=True)).get(self.host, self.host)
        return f"http{'s' if self.ssl_certfile else ''}://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def plan_server(plan: Plan, options: ServeOptions, state_dir: Path) -> Plan:
    """Return the plan with the server's settings, by the names of vLLM's arguments, and what speaks against them.

    Args:
        plan: made for the purpose `server`.
        options: what is asked of the server.
        state_dir: where `generation_config` would write the sampling defaults.
    """
    sampling = {name: setting for name, setting in plan.sampling.items() if setting.source != _BCLI}
    plan = replace(plan, sampling=sampling)
    settings = dict(_settings(plan, options, state_dir))
    return replace(plan, server=settings, findings=(*plan.findings, *_findings(plan, options)))


def generation_config(plan: Plan) -> dict[str, object]:
    """Return the content of a `generation_config.json` with what holds for every request that says nothing else.

    vLLM takes what ends an answer from there too: the ids under `eos_token_id`.
    """
    content = sampling_kwargs(plan)
    return {theirs: content[ours] for ours, theirs in _GENERATION_CONFIG.items() if ours in content}


def _settings(plan: Plan, options: ServeOptions, state_dir: Path) -> Iterator[tuple[str, Setting]]:
    default = ServeOptions()
    yield "host", Setting(options.host, _source("--host", options.host != default.host), "")
    yield "port", Setting(options.port, _source("--port", options.port != default.port), "")
    if options.served_model_names:
        yield "served_model_name", Setting(options.served_model_names, "--served-model-name", "")
    else:
        yield "served_model_name", Setting((PurePath(plan.model.name).name,), "model", "what it is called here")
    yield "chat_template", _chat_template(plan, options)
    if takes_generation_config(plan.release):
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
    yield from _exposure(plan, options)
    yield from _own_options(options)
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
    if not takes_generation_config(plan.release):
        yield from _sampling_defaults(plan)
    elif homeless := {name: each for name, each in plan.sampling.items() if _has_no_default(plan, name, each)}:
        given = ", ".join(f"{name} {show(setting.value)} ({setting.source})" for name, setting in homeless.items())
        yield Finding("warning", "sampling_defaults", f"a server has no default for {given}: clients must send it")


def _has_no_default(plan: Plan, name: str, setting: Setting) -> bool:
    """Tell whether a server cannot be given this.

    Our own module leaves the length to vLLM, whose chats may fill the context; that a model's makers would stop sooner
    is not worth a word.
    """
    if name == "max_tokens" and not plan.release.matches(GENERATION_CONFIG):
        return setting.source != "model"
    return name not in _GENERATION_CONFIG


def _sampling_defaults(plan: Plan) -> Iterator[Finding]:
    """Say what a client must send where the server has no place for it. `</s>` it knows by itself."""
    decided = {name: setting for name, setting in plan.sampling.items() if setting.source != "vLLM default"}
    if plan.model.chat_family is None:
        decided.pop("stop_token_ids")
    if decided:
        wanted = "; ".join(f"{name} {show(setting.value)}" for name, setting in decided.items())
        yield Finding(
            "warning",
            "sampling_defaults",
            f"the server of vLLM {plan.release} does not read the model's sampling defaults",
            f"Send with each request: {wanted}",
        )


def _exposure(plan: Plan, options: ServeOptions) -> Iterator[Finding]:
    if options.private or options.api_key or headless(plan):
        return
    if options.insecure:
        yield Finding(
            "warning", "exposure", f"everybody who reaches {options.host} may use this server, without a key"
        )
    else:
        yield Finding(
            "refusal",
            "exposure",
            f"host {options.host}: everybody who reaches this machine could use the server.",
            "Give it a key: openssl rand -hex 24 > key.txt, then --api-key-file key.txt\n"
            "Or say that it may be open: --insecure",
        )


def _own_options(options: ServeOptions) -> Iterator[Finding]:
    """Refuse arguments for vLLM that bcli has options for: it must know where the server listens and who may ask."""
    for argument in options.extra_arguments:
        flag = argument.partition("=")[0].replace("_", "-")
        # vLLM takes the beginning of an option for the whole.
        meant = next((own for own in _OWN_OPTIONS if own.startswith(flag) and len(flag) > len("--")), None)
        if meant:
            yield Finding("refusal", "own_option", f"{flag} behind -- would pass bcli by.", _OWN_OPTIONS[meant])
