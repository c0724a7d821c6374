"""The settings a person can give, by vLLM's own names, and how a value is read.

Only settings with a meaning for Baichuan are here. Everything a person writes passes through `read`, whether it comes
from a YAML file (already typed), from the environment (text) or from the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import SettingValue

#: Turns what a person wrote into a value, or raises ValueError with what was expected.
Reader = Callable[[object], SettingValue]

_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise ValueError("true or false")


def _integer(minimum: int) -> Reader:
    def read_integer(raw: object) -> int:
        expected = f"a whole number, {minimum} or more"
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise ValueError(expected)
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(expected) from None
        if value < minimum:
            raise ValueError(expected)
        return value

    return read_integer


def _number(minimum: float, maximum: float, *, above: bool = False) -> Reader:
    """Read a number in a range; `above` leaves out the minimum itself."""

    def read_number(raw: object) -> float:
        bounds = f"{'above' if above else 'from'} {minimum:g}"
        expected = f"a number {bounds}" + (f" to {maximum:g}" if maximum != float("inf") else "")
        if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
            raise ValueError(expected)
        try:
            value = float(raw)
        except ValueError:
            raise ValueError(expected) from None
        if not minimum <= value <= maximum or (above and value == minimum) or value == float("inf"):
            raise ValueError(expected)
        return value

    return read_number


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("a name")
    return raw.strip()


def _one_of(*choices: str) -> Reader:
    def read_choice(raw: object) -> str:
        if raw not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return str(raw)

    return read_choice


def _or_none(reader: Reader) -> Reader:
    """Let a person say that there shall be none: null in YAML, the word `none` elsewhere."""

    def read_optional(raw: object) -> SettingValue:
        return None if raw is None or (isinstance(raw, str) and raw.strip().lower() == "none") else reader(raw)

    return read_optional


def _top_k(raw: object) -> SettingValue:
    """Read top_k; 0 and -1 both mean off, and -1 is the one spelling that every vLLM release accepts."""
    try:
        value = _integer(-1)(raw)
    except ValueError:
        raise ValueError("a whole number, or -1 for off") from None
    return -1 if value == 0 else value


def _several(reader: Reader) -> Reader:
    """Read a list, or one value for a list of one; text from the environment is split at commas for numbers only."""

    def read_list(raw: object) -> SettingValue:
        if isinstance(raw, (list, tuple)):
            return tuple(reader(item) for item in raw)
        if isinstance(raw, str) and reader is not _stop_text:
            return tuple(reader(item) for item in raw.split(","))
        return (reader(raw),)

    return read_list


def _stop_text(raw: object) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError("a text")
    return raw


#: Names of vLLM's EngineArgs, in the order in which they are shown.
ENGINE: Mapping[str, Reader] = {
    "dtype": _one_of("auto", "float16", "bfloat16", "float32"),
    "quantization": _or_none(_text),
    "tensor_parallel_size": _integer(1),
    "pipeline_parallel_size": _integer(1),
    "distributed_executor_backend": _text,
    "disable_custom_all_reduce": _boolean,
    "max_model_len": _integer(1),
    "gpu_memory_utilization": _number(0, 1, above=True),
    "kv_cache_dtype": _text,
    "block_size": _integer(1),
    "swap_space": _number(0, float("inf")),
    "max_num_seqs": _integer(1),
    "max_num_batched_tokens": _integer(1),
    "enable_prefix_caching": _boolean,
    "enable_chunked_prefill": _boolean,
    "enforce_eager": _boolean,
    "attention_backend": _or_none(_text),
    "load_format": _text,
    "trust_remote_code": _boolean,
    "seed": _integer(0),
}

#: Names of vLLM's SamplingParams, in the order in which they are shown.
SAMPLING: Mapping[str, Reader] = {
    "temperature": _number(0, float("inf")),
    "top_p": _number(0, 1, above=True),
    "top_k": _top_k,
    "min_p": _number(0, 1),
    "repetition_penalty": _number(0, float("inf"), above=True),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _integer(1),
    "min_tokens": _integer(0),
    "stop": _several(_stop_text),
    "stop_token_ids": _several(_integer(0)),
    "ignore_eos": _boolean,
    "n": _integer(1),
    "logprobs": _integer(0),
    "seed": _integer(0),
}


def read(
    readers: Mapping[str, Reader], name: str, raw: object, source: str, exit_code: ExitCode = ExitCode.USAGE
) -> SettingValue:
    """Return the value of a setting as a person gave it.

    Args:
        readers: `ENGINE` or `SAMPLING`.
        name: the setting.
        raw: the value as it was written.
        source: where it was written, for the message: "config.yaml: dtype", "BCLI_DTYPE", "--dtype".
        exit_code: what a mistake exits with.

    Raises:
        BcliError: no such setting, or the value makes no sense for it.
    """
    try:
        return readers[name](raw)
    except KeyError:
        hint = nearest(name, readers)
        raise BcliError(f"{source}: there is no setting {name!r}.", hint=hint, exit_code=exit_code) from None
    except ValueError as error:
        raise BcliError(f"{source}: {raw!r} is not {error}.", exit_code=exit_code) from None


def nearest(name: str, known: Mapping[str, object]) -> str:
    """Return a hint with the known names that look most like a wrong one."""
    close = get_close_matches(str(name), known, n=3, cutoff=0.7)
    return f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(known)}."
