"""Start the engine of a plan in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from baichuan_cli.engine.offline import OfflineEngine
from baichuan_cli.plan.releases import PLUGINS
from baichuan_cli.plan.render import environment, llm_kwargs, sampling_kwargs

if TYPE_CHECKING:
    from baichuan_cli.engine.log import EngineLog
    from baichuan_cli.plan.model import Plan


def start_offline(plan: Plan, log: EngineLog) -> OfflineEngine:
    """Set the plan's environment variables, which holds for the whole process, and start its engine.

    Raises:
        BcliError: vLLM could not start.
    """
    os.environ.update(environment(plan))
    if not plan.release.matches(PLUGINS):
        # This vLLM looks for no plugins, but one that is loaded in its process works all the same.
        from baichuan_cli.vllm_plugin import register

        register()
    return OfflineEngine(llm_kwargs(plan), sampling_kwargs(plan), log)
