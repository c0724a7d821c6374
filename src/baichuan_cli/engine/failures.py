"""Recognise why vLLM failed, from its exception and its log, and say what to do about it.

The texts are those of vLLM 0.5.0 to 0.33, torch, transformers and the vendors' libraries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.engine.log import EngineLog, tail
from baichuan_cli.errors import BcliError, ExitCode


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause of a failure: what happened in a person's words, and what to do next."""

    pattern: str  # regular expression, looked for without regard to case
    message: str
    hint: str


_LONGEST_LINE = 200  # characters; vLLM logs its whole configuration in one line
_SHOWN_LINES = 12
_SEARCHED_LINES = 400  # of a server's log: tracebacks of several processes, one below the other

#: The last line of a traceback, behind the name of the process that later releases put before every line.
_RAISED = re.compile(
    r"^(?P<engine>\((?:EngineCore|Worker)[^)]*\) )?(?:.*\] )?"
    r"(?P<error>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt): .+)$",
    re.MULTILINE,
)
#: What a process says when another one has failed, or was killed without a word.
_ANOTHER_FAILED = re.compile(
    r"Engine core initialization failed|Engine process failed to start|EngineDeadError|died unexpectedly"
)
#: What Python's extensions say at every end.
_CHATTER = re.compile(r"^nanobind: | - (?:leaked |\.\.\. skipped )|resource_tracker")

#: Looked for in this order; the first that fits is told, so the specific ones stand before the general ones.
CAUSES: tuple[Cause, ...] = (
    Cause(
        r"has no attribute '?(sp_model|vocab_size)|'property' object cannot be interpreted as an integer",
        "The checkpoint's tokenization_baichuan.py is the broken kind: it calls super().__init__() too early.",
        "Leave --trust-remote-code away: bcli builds the tokenizer from tokenizer.model by itself.\n"
        "Or repair the file, for other programs too: bcli patch-tokenizer MODEL",
    ),
    Cause(
        r"No available memory for the cache blocks|larger than the maximum number of tokens that can be stored in KV"
        r"|KV cache is needed, which is larger than the available|No KV cache memory"
        r"|on kv cache allocation is less than requested",
        "No room for the KV cache beside the weights.",
        "Try a shorter --max-model-len, a higher --gpu-memory-utilization, or more cards with --tensor-parallel-size.",
    ),
    Cause(
        r"out of memory|OutOfMemoryError|can't allocate memory|Cannot allocate memory|MemoryError"
        r"|hipErrorOutOfMemory|Not enough memory|Free memory on device",
        "Out of memory.",
        "Try a shorter --max-model-len, a smaller --max-num-seqs, a GPTQ checkpoint, or more cards with "
        "--tensor-parallel-size.",
    ),
    Cause(
        r"Bfloat16 is only supported on GPUs",
        "This card has no bfloat16.",
        "Use --dtype float16.",
    ),
    Cause(
        r"torch\.bfloat16 is not supported for quantization|dtype .* not supported for quantization method",
        "This quantization does not compute in the chosen dtype.",
        "Use --dtype float16.",
    ),
    Cause(
        r"SafetensorError|invalid header|HeaderTooLarge|MetadataIncompleteBuffer|PytorchStreamReader failed"
        r"|UnpicklingError",
        "A weight file is damaged or incomplete.",
        "Check the folder with: bcli models inspect PATH, and fetch the file again.",
    ),
    Cause(
        r"Cannot find any model weights|No such file or directory: '[^']*\.(safetensors|bin|model|json)'",
        "A file of the checkpoint is missing.",
        "Check the folder with: bcli models inspect PATH",
    ),
    Cause(
        r"not aligned with the quantized weight shape|not divisible by.*group_size|no multiple of the group size",
        "The quantization groups do not divide over this many cards.",
        "Use --tensor-parallel-size 1, or a checkpoint with smaller groups.",
    ),
    Cause(
        r"must be divisible by tensor parallel size|not divisible by tensor",
        "The attention heads do not divide over this many cards.",
        "Use --tensor-parallel-size 1, 2, 4 or 8.",
    ),
    Cause(
        r"World size \(\d+\) is larger than the number of available|number of available GPUs|available NUMA",
        "There are fewer cards than --tensor-parallel-size asks for.",
        "Use a smaller --tensor-parallel-size.",
    ),
    Cause(
        r"was supported in vLLM until|are not supported for now|Cannot find model module",
        "This vLLM has no Baichuan of its own, and bcli's plugin was not loaded.",
        "Unset VLLM_PLUGINS, or add baichuan to it; bcli and vLLM must be installed in the same environment.",
    ),
    Cause(
        r"consider setting `trust_remote_code=True`",
        "This vLLM did not get configuration and tokenizer from bcli's plugin; it would run the checkpoint's code.",
        "Unset VLLM_PLUGINS, or add baichuan to it.\n"
        "Or read the .py files of the checkpoint, then add --trust-remote-code.",
    ),
    Cause(
        r"libgalaxyhip\.so|libamdhip64\.so|libcuda\.so|libcudart\.so",
        "The card's driver library was not found.",
        "On a DCU run: source /opt/dtk/env.sh, and mount /opt/hyhal into the container.",
    ),
    Cause(
        r"pyairports",
        "outlines, which this vLLM's server imports, needs the module pyairports. PyPI lost it: what pip installs of"
        " that name is something else.",
        "Make the module by hand; what outlines wants of it is one empty list:\n"
        """cd "$(python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" """
        """&& mkdir -p pyairports && echo 'AIRPORT_LIST = []' > pyairports/airports.py\n"""
        "Offline use (bcli generate, bcli bench) works without it.",
    ),
    Cause(
        r"operator torchvision::nms does not exist|Could not load libtorchcodec",
        "The installed torchvision, torchaudio or torchcodec was built for another torch.",
        "Baichuan needs none of them: pip uninstall torchvision torchaudio torchcodec",
    ),
    Cause(
        r"No space left on device",
        "No space left, perhaps in /dev/shm.",
        "Free some space; in a container give a larger --shm-size or --ipc=host.",
    ),
)


def recognise(text: str) -> Cause | None:
    """Return the first known cause that shows in an exception's text or in a log."""
    return next((cause for cause in CAUSES if re.search(cause.pattern, text, re.IGNORECASE)), None)


@contextmanager
def explained(log: EngineLog) -> Iterator[None]:
    """Turn whatever vLLM raises into a message with the cause, the end of its log and where the log is.

    Raises:
        BcliError: anything went wrong inside.
    """
    try:
        yield
    except BcliError:
        raise
    except Exception as error:  # noqa: BLE001  vLLM, torch and the drivers raise anything, and all of it ends here
        raise _failure(error, log) from error


def server_failure(what: str, log_path: Path) -> BcliError:
    """Return the error for a server that ended or does not answer.

    Args:
        what: what was seen of it, for a failure whose cause shows nowhere in the log.
        log_path: the server's log.
    """
    lines = [line for line in tail(log_path, _SEARCHED_LINES).splitlines() if not _CHATTER.search(line)]
    text = "\n".join(lines)
    return _told(recognise(text), _root(text) or what, "\n".join(lines[-_SHOWN_LINES:]), log_path)


def _root(text: str) -> str:
    """Return the error of a log that is nearest to the cause; empty where none shows."""
    raised = [match for match in _RAISED.finditer(text) if not _ANOTHER_FAILED.search(match["error"])]
    engines = [match["error"] for match in raised if match["engine"]]
    if engines:
        return engines[-1]
    if _ANOTHER_FAILED.search(text):
        return "a process of its engine died. If memory ran out, the kernel killed it: dmesg | tail"
    return raised[-1]["error"] if raised else ""


def _failure(error: Exception, log: EngineLog) -> BcliError:
    told = f"{type(error).__name__}: {error}".strip()
    # The exception is nearest to the cause; a worker process leaves its own only in the log.
    end = log.tail()
    return _told(recognise(told) or recognise(end), told.splitlines()[0], end, log.path)


def _told(cause: Cause | None, otherwise: str, end: str, log_path: Path | None) -> BcliError:
    message = f"vLLM failed: {cause.message}" if cause else f"vLLM failed: {otherwise}"
    shown = "\n".join(line[:_LONGEST_LINE] for line in end.splitlines())
    hints = [cause.hint if cause else "", shown, f"The whole log: {log_path}" if log_path else ""]
    return BcliError(message, hint="\n".join(filter(None, hints)), exit_code=ExitCode.ENGINE)
