"""Which packages really import, tried in a Python of its own: a crash or a hang takes only that process with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baichuan_cli.doctor.surroundings import Surroundings

#: What is tried, in this order, by the name that verdicts use; and the statement.
STEPS: Mapping[str, str] = {
    "torch": "import torch",
    "torchvision": "import torchvision",
    "torchaudio": "import torchaudio",
    "triton": "import triton",
    "transformers": "from transformers import LlamaConfig",
    "vllm": "from vllm import LLM",
    "server": "import vllm.entrypoints.openai.api_server",
    # as bcli starts it before vLLM 0.5.5
    "stand-ins": (
        "from baichuan_cli.vllm_plugin.api_server import add_stand_ins; add_stand_ins()\n"
        "import vllm.entrypoints.openai.api_server"
    ),
}
#: The package that must be installed for a step to be tried at all, where it is not the step's own name.
_NEEDS = {"server": "vllm", "stand-ins": "vllm"}

_MARK = "bcli-doctor "  # begins each line that is the program's own

#: A line before each step and one after it: where the process dies, the last line says in which.
_PROGRAM = """
import importlib.util, json, sys
def say(**facts):
    sys.__stdout__.write("bcli-doctor " + json.dumps(facts) + "\\n")
    sys.__stdout__.flush()
for name, package, statement in json.loads(sys.argv[1]):
    if importlib.util.find_spec(package) is None:
        continue
    say(step=name)
    try:
        exec(statement)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        say(step=name, error=f"{type(error).__name__}: {error}")
    else:
        say(step=name, error="")
torch = sys.modules.get("torch")
if torch is not None and hasattr(torch, "version"):
    say(torch=dict(version=torch.__version__, cuda=torch.version.cuda, hip=torch.version.hip,
                   available=torch.cuda.is_available(), cards=torch.cuda.device_count()))
try:
    from vllm.plugins import load_general_plugins
    load_general_plugins()
except ImportError:
    pass
except Exception as error:
    say(plugins_error=f"{type(error).__name__}: {error}")
try:
    from vllm import ModelRegistry
    say(architectures=[name for name in ModelRegistry.get_supported_archs() if name.lower().startswith("baichuan")])
except Exception:  # whatever it is, the step that imports vLLM has told it
    pass
"""


@dataclass(frozen=True, slots=True)
class Torch:
    """What torch says of itself."""

    version: str
    cuda: str | None
    hip: str | None
    available: bool  # it reaches a card
    cards: int


@dataclass(frozen=True, slots=True)
class Imports:
    """What was tried: an empty text where it worked, the error where not. A package that is absent has no entry."""

    errors: Mapping[str, str] = field(default_factory=dict)
    torch: Torch | None = None
    plugins_error: str = ""
    architectures: tuple[str, ...] | None = None  # Baichuan's classes that vLLM knows; None where it was not asked

    def works(self, step: str) -> bool:
        """Tell whether a step was tried and worked."""
        return self.errors.get(step) == ""


def try_imports(surroundings: Surroundings) -> Imports:
    """Import torch, transformers, vLLM and what they drag in."""
    steps = [(name, _NEEDS.get(name, name), statement) for name, statement in STEPS.items()]
    result = surroundings.run_python([sys.executable, "-c", _PROGRAM, json.dumps(steps)])
    told = [line.removeprefix(_MARK) for line in result.stdout.splitlines() if line.startswith(_MARK)]
    return _read([json.loads(line) for line in told], result.problem)


def _read(lines: Sequence[Mapping[str, Any]], problem: str) -> Imports:
    errors: dict[str, str] = {}
    problem = problem.partition(f": {_MARK}")[0]  # where nothing was said on stderr, the last line of stdout is told
    torch: Torch | None = None
    plugins_error = ""
    architectures: tuple[str, ...] | None = None
    for line in lines:
        if "step" in line:
            errors[line["step"]] = line.get("error", f"Python did not survive it ({problem})")
        elif "torch" in line:
            torch = Torch(**line["torch"])
        elif "plugins_error" in line:
            plugins_error = line["plugins_error"]
        elif "architectures" in line:
            architectures = tuple(line["architectures"])
    if problem and not lines:
        errors["torch"] = problem
    return Imports(errors, torch, plugins_error, architectures)
