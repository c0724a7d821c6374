"""From what a person asks for to a workload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.paths import expand_home

if TYPE_CHECKING:
    from baichuan_cli.bench.workload import Workload
    from baichuan_cli.catalog.model import Model
    from baichuan_cli.tokenizer.load import Tokenizer

#: What is measured where nothing is said: the lengths of the reference README.
INPUT_LEN, OUTPUT_LEN = 32, 128
NUM_PROMPTS = 32
_NUM_CONVERSATIONS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; None leaves it to the data set.

    Attributes:
        dataset: "random", "sonnet", "sharegpt", or a file: `.jsonl` of one's own, or ShareGPT's `.json`.
        legacy: the workload of vLLM 0.5's script.
    """

    dataset: str = "random"
    input_len: int | None = None
    output_len: int | None = None
    num_prompts: int | None = None
    seed: int = 0
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A workload, and how many of its prompts are sent."""

    workload: Workload
    num_prompts: int


def choose_workload(wanted: Wanted, model: Model, max_model_len: int) -> Chosen:
    """Return the workload; the model's tokenizer is needed for all but random prompts.

    Args:
        model: whose tokens are sent.
        max_model_len: the longest prompt plus answer.

    Raises:
        BcliError: options that do not go together, lengths beyond the context, an unknown or unusable data set, or no
            tokenizer on this machine.
    """
    input_len, output_len = wanted.input_len or INPUT_LEN, wanted.output_len or OUTPUT_LEN
    path = _file(wanted.dataset)
    if path is None or wanted.legacy:
        _require_room(input_len, output_len, max_model_len)
    elif wanted.input_len:
        raise BcliError(f"--input-len does not go with {wanted.dataset}: its prompts are as long as they are.")
    if wanted.legacy and wanted.dataset != "random":
        raise BcliError("--legacy has prompts of its own.", hint="Leave --dataset out.")
    count = wanted.num_prompts or NUM_PROMPTS
    if wanted.legacy:
        from baichuan_cli.bench.legacy import LegacyPrompts

        return Chosen(LegacyPrompts(_tokenizer(model), input_len, output_len), count)
    if wanted.dataset == "random":
        return Chosen(_random(model, input_len, output_len, wanted.seed), count)
    if wanted.dataset == "sonnet":
        from baichuan_cli.bench.verse import Verse

        return Chosen(Verse(_tokenizer(model), input_len, output_len, seed=wanted.seed), count)
    assert path is not None
    if path.suffix == ".jsonl":
        return _own(path, wanted, model, max_model_len)
    from baichuan_cli.bench.sharegpt import ShareGpt

    conversations = ShareGpt(path, _tokenizer(model), wanted.seed, max_model_len, wanted.output_len)
    return Chosen(conversations, wanted.num_prompts or _NUM_CONVERSATIONS)


def _file(dataset: str) -> Path | None:
    """Return the file of a data set; None where it needs none.

    Raises:
        BcliError: neither a name nor a file.
    """
    from baichuan_cli.hub.datasets import DATASETS

    if dataset in ("random", "sonnet"):
        return None
    if dataset in DATASETS:
        return DATASETS[dataset].path
    path = expand_home(dataset)
    if path.suffix in (".json", ".jsonl"):
        return path
    raise BcliError(
        f"There is no data set {dataset!r}.",
        hint="Use random, sonnet or sharegpt, a file of your own prompts that ends in .jsonl, or ShareGPT's .json.",
        exit_code=ExitCode.NOT_FOUND,
    )


def _require_room(input_len: int, output_len: int, max_model_len: int) -> None:
    if input_len + output_len > max_model_len:
        room = max_model_len - output_len
        shorter = f"--input-len {room}" if room > 0 else "a shorter --output-len"
        raise BcliError(
            f"{input_len} + {output_len} tokens do not fit a context of {max_model_len}.",
            hint=f"Use {shorter}, or a longer --max-model-len.",
            exit_code=ExitCode.REFUSED,
        )


def _tokenizer(model: Model) -> Tokenizer:
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.tokenizer.load import load_tokenizer

    return load_tokenizer(require_local(model))


def _random(model: Model, input_len: int, output_len: int, seed: int) -> Workload:
    from baichuan_cli.bench.random_prompts import RandomPrompts, plain_token_ids, published_token_ids

    if model.path is None:
        return RandomPrompts(published_token_ids(model.architecture), input_len, output_len, seed=seed)
    return RandomPrompts(plain_token_ids(model.path), input_len, output_len, _tokenizer(model), seed=seed)


def _own(path: Path, wanted: Wanted, model: Model, max_model_len: int) -> Chosen:
    from baichuan_cli.batch.encode import Encoder
    from baichuan_cli.bench.prompt_file import PromptFile

    encoder = Encoder(_tokenizer(model), model.chat_family, max_model_len, wanted.output_len or OUTPUT_LEN)
    prompts = PromptFile(path, encoder, wanted.output_len)
    return Chosen(prompts, wanted.num_prompts or len(prompts))
