"""What `bcli serve` shows of a server: that it is ready, or the command that would start it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from baichuan_cli.cli.output import Output
from baichuan_cli.engine.server import Server
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import environment, headless, server_command
from baichuan_cli.plan.serving import EVERY_ADDRESS, ServeOptions, generation_config

_MASKED = "***"


def tell_ready(server: Server, plan: Plan, out: Output, seconds: float) -> None:
    """Say where the server is and how to ask it something."""
    if headless(plan):
        rank, count, first = (plan.settings[name].value for name in ("node_rank", "nnodes", "master_addr"))
        out.note(f"machine {rank} of {count}, computing for {first}   Ctrl-C stops")
        out.note(f"  log   {_short(server.log_path)}")
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
                "log": str(server.log_path),
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
    out.note(f"  log   {_short(server.log_path)}\n  curl{insecure} {server.url}/models{key}")


def show_command(plan: Plan, options: ServeOptions, out: Output) -> None:
    """Show the environment and the command that would start the server; the key is masked."""
    variables = environment(plan) | ({"VLLM_API_KEY": _MASKED} if options.api_key else {})
    command = [sys.executable, *server_command(plan), *options.extra_arguments]
    folder = plan.server.get("generation_config")
    if out.json_mode:
        out.json(
            {
                "schema": "bcli.serve-dry-run/1",
                "vllm": str(plan.release),
                "environment": variables,
                "argv": command,
                "generation_config": generation_config(plan) if folder else None,
            }
        )
        return
    if folder:
        out.text(f"# {folder.value}/generation_config.json: {json.dumps(generation_config(plan))}")
    for name, value in variables.items():
        out.text(f"{name}={shlex.quote(value)} \\")
    out.text(shlex.join(command))


def _short(path: Path) -> str:
    """Return a path with the home folder as `~`."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
