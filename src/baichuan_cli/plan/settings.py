"""The settings a person can give, by vLLM's own names, and what each takes.

Only settings with a meaning for Baichuan are here. Everything a person writes passes through `read`, whether it comes
from a YAML file, from the environment or from the command line.
"""

from __future__ import annotations

from collections.abc import Mapping

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import SettingValue
from baichuan_cli.plan.names import (
    ATTENTION_BACKENDS,
    DTYPES,
    EXECUTORS,
    KV_CACHE_DTYPES,
    LINEAR_BACKENDS,
    LOAD_FORMATS,
    QUANTIZATIONS,
)
from baichuan_cli.plan.readers import (
    LARGEST,
    Reader,
    UnknownName,
    address,
    boolean,
    integer,
    name_of,
    nearest,
    number,
    one_of,
    open_name_of,
    or_none,
    several,
    stop_text,
    top_k,
)

#: Of how many tokens a step vLLM gives log-probabilities, while the engine's `max_logprobs` is left alone.
_MAX_LOGPROBS = 20

#: Names of vLLM's EngineArgs, in the order in which they are shown.
ENGINE: Mapping[str, Reader] = {
    "dtype": one_of(DTYPES),
    "quantization": or_none(open_name_of("quantization method", QUANTIZATIONS)),
    "tensor_parallel_size": integer(1),
    "pipeline_parallel_size": integer(1),
    "distributed_executor_backend": one_of(EXECUTORS),
    "nnodes": integer(1),
    "node_rank": integer(0),
    "master_addr": address,
    "master_port": integer(1, 65535),
    "disable_custom_all_reduce": boolean,
    "max_model_len": integer(1),
    "gpu_memory_utilization": number(0, 1, above=True),
    "kv_cache_dtype": name_of("type of the KV cache", KV_CACHE_DTYPES),
    "block_size": integer(1),
    "swap_space": number(0, float("inf")),
    "max_num_seqs": integer(1),
    "max_num_batched_tokens": integer(1),
    "enable_prefix_caching": boolean,
    "enable_chunked_prefill": boolean,
    "enforce_eager": boolean,
    "attention_backend": or_none(open_name_of("attention backend for Baichuan", ATTENTION_BACKENDS)),
    "linear_backend": name_of("backend for linear layers", LINEAR_BACKENDS),
    "load_format": name_of("load format", LOAD_FORMATS),
    "trust_remote_code": boolean,
    "seed": integer(0, 2**32 - 1),  # NumPy takes no more
}

#: Names of vLLM's SamplingParams, in the order in which they are shown.
SAMPLING: Mapping[str, Reader] = {
    "temperature": number(0, 2),
    "top_p": number(0, 1, above=True),
    "top_k": top_k,
    "min_p": number(0, 1),
    "repetition_penalty": number(0, 2, above=True),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "max_tokens": integer(1, LARGEST),
    "min_tokens": integer(0, LARGEST),
    "stop": several(stop_text),
    "stop_token_ids": several(integer(0, LARGEST)),
    "ignore_eos": boolean,
    "n": integer(1),
    "logprobs": integer(0, _MAX_LOGPROBS),
    "seed": integer(0, 2**63 - 1),
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
    except UnknownName as error:
        raise BcliError(f"{source}: {raw!r} is no {error}.", hint=error.hint, exit_code=exit_code) from None
    except ValueError as error:
        raise BcliError(f"{source}: {raw!r} is not {error}.", exit_code=exit_code) from None
