"""What `bcli serve` shows of a server: that it is ready, or the command that would start it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.cli.output import Output
from baichuan_cli.engine.ports import free_port
from baichuan_cli.engine.router import router_command
from baichuan_cli.engine.running import Running
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import environment, headless, server_command
from baichuan_cli.plan.serving import EVERY_ADDRESS, ServeOptions, generation_config, plan_server

_MASKED = "***"


def tell_ready(server: Running, plan: Plan, out: Output, seconds: float) -> None:
    """Say where the server is and how to ask it something."""
    if headless(plan):
        rank, count, first = (plan.settings[name].value for name in ("node_rank", "nnodes", "master_addr"))
        out.note(f"machine {rank} of {count}, computing for {first}   Ctrl-C stops")
        out.note(_logs(server))
        return
    names = plan.server["served_model_name"].value
    assert isinstance(names, tuple)
    if out.json_mode:
        out.json(
            {
                "schema": "bcli.serve/1",
                "url": server.url,
                "models": list(names),
                "vllm": str(plan.release),
                "profile": plan.profile_name,
                "key": server.api_key is not None,
                "logs": [str(path) for path in server.log_paths],
                "ready_seconds": round(seconds, 3),
            }
        )
        return
    everywhere = " and every other address of this machine" if plan.server["host"].value in EVERY_ADDRESS else ""
    called = ", ".join(f'"{name}"' for name in names)
    out.note(f"ready  {server.url}{everywhere}   model {called}   Ctrl-C stops   ({seconds:.1f} s)")
    key = ' -H "Authorization: Bearer $VLLM_API_KEY"' if server.api_key else ""
    insecure = " -k" if server.url.startswith("https") else ""
    # One text, so that whoever waits for its end has all of it.
    out.note(f"{_logs(server)}\n  curl{insecure} {server.url}/models{key}")


def show_commands(plans: Sequence[Plan], options: ServeOptions, out: Output) -> None:
    """Show the environment and the command of each process that would be started; the key is masked.

    Args:
        plans: one for each server, without its settings.
        options: of the service as a whole.
        out: where to.
    """
    if len(plans) == 1:
        _show_servers([_Command.of(plans[0], options)], [], out)
        return
    behind = [replace(options, host="127.0.0.1", port=free_port()) for _ in plans]
    workers = [each.url.removesuffix("/v1") for each in behind]
    servers = [_Command.of(plan, own) for plan, own in zip(plans, behind, strict=True)]
    _show_servers(servers, [sys.executable, *router_command(options, workers)], out)


@dataclass(frozen=True, slots=True)
class _Command:
    environment: Mapping[str, str]
    argv: list[str]
    generation_config: Mapping[str, object] | None
    folder: str

    @classmethod
    def of(cls, plan: Plan, options: ServeOptions) -> _Command:
        plan = plan_server(plan, options, paths.state_dir())
        folder = plan.server.get("generation_config")
        return cls(
            environment(plan) | ({"VLLM_API_KEY": _MASKED} if options.api_key else {}),
            [sys.executable, *server_command(plan), *options.extra_arguments],
            generation_config(plan) if folder else None,
            str(folder.value) if folder else "",
        )


def _show_servers(servers: Sequence[_Command], router: Sequence[str], out: Output) -> None:
    first = servers[0]
    if out.json_mode:
        commands = [{"environment": each.environment, "argv": each.argv} for each in servers]
        several = {"replicas": commands, "router": {"argv": router}}
        shown = several if router else commands[0]
        out.json({"schema": "bcli.serve-dry-run/1", **shown, "generation_config": first.generation_config})
        return
    if first.folder:
        out.text(f"# {first.folder}/generation_config.json: {json.dumps(first.generation_config)}")
    for server in servers:
        for name, value in server.environment.items():
            out.text(f"{name}={shlex.quote(value)} \\")
        out.text(shlex.join(server.argv))
    if router:
        out.text(shlex.join(router))


def _logs(server: Running) -> str:
    return "\n".join(f"  log   {_short(path)}" for path in server.log_paths)


def _short(path: Path) -> str:
    """Return a path with the home folder as `~`."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
