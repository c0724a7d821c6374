"""Know whether vLLM has started with these settings before: the first time it compiles, which takes a minute.

vLLM keeps what it compiles by the model's path, its own version and nearly every setting, so a mark by what the plan
gives it says much the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import environment, llm_kwargs

_COMPILES = ">=0.8"  # the engine that compiles unless it is eager


def compiles(plan: Plan) -> bool:
    """Tell whether vLLM runs the model through torch.compile."""
    config = plan.settings["compilation_config"].value if "compilation_config" in plan.settings else None
    left_out = isinstance(config, Mapping) and config.get("mode") == 0
    eager = plan.settings["enforce_eager"].value is True
    return plan.release.matches(_COMPILES) and not eager and not left_out


def mark(plan: Plan, state_dir: Path) -> Path:
    """Return the file that is there once vLLM has started by this plan."""
    given = json.dumps([str(plan.release), llm_kwargs(plan), environment(plan)], sort_keys=True, default=str)
    return state_dir / "compiled" / hashlib.sha256(given.encode()).hexdigest()[:16]
