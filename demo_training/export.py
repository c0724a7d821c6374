"""Put a trained model into the package as a complete checkpoint: weights, config, tokenizer, generation config.

python -m demo_training.export --weights DIR    # DIR holds <model>/model.safetensors and <model>/report.json
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from .prepare import SCRATCH
from .recipes import RECIPES, Recipe
from .tokenizer_ids import ASSISTANT_TOKEN_ID, EOS_TOKEN_ID, USER_TOKEN_ID

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "baichuan_cli" / "demo"
CONTEXT_LENGTH = 2048
_LONGEST_ANSWER = 1024


def config(recipe: Recipe) -> dict[str, Any]:
    """Return `config.json` in Baichuan-7B's layout (RoPE) or in Baichuan-13B's (ALiBi).

    The two differ in the spelling of the class and in the name of the context length.
    """
    shape = recipe.shape
    length = "model_max_length" if shape.alibi else "max_position_embeddings"
    return {
        "architectures": ["BaichuanForCausalLM" if shape.alibi else "BaiChuanForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": EOS_TOKEN_ID,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        length: CONTEXT_LENGTH,
        "model_type": "baichuan",
        "num_attention_heads": shape.num_heads,
        "num_hidden_layers": shape.num_layers,
        "pad_token_id": 0,
        "rms_norm_eps": shape.rms_norm_eps,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def generation_config() -> dict[str, Any]:
    """Return greedy defaults: a recitation has nothing to sample."""
    return {
        "assistant_token_id": ASSISTANT_TOKEN_ID,
        "bos_token_id": 1,
        "do_sample": False,
        "eos_token_id": EOS_TOKEN_ID,
        "max_new_tokens": _LONGEST_ANSWER,
        "pad_token_id": 0,
        "temperature": 0.0,
        "user_token_id": USER_TOKEN_ID,
    }


def tokenizer_config(recipe: Recipe) -> dict[str, Any]:
    """Return `tokenizer_config.json`; no `auto_map`, so nothing asks for remote code."""
    return {
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "model_max_length": CONTEXT_LENGTH,
        "pad_token": "<unk>",
        "sp_model_kwargs": {},
        "tokenizer_class": "BaichuanTokenizer" if recipe.shape.alibi else "BaiChuanTokenizer",
        "unk_token": "<unk>",
    }


def special_tokens_map() -> dict[str, str]:
    """Return `special_tokens_map.json`."""
    return {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "unk_token": "<unk>"}


def export(name: str, weights: Path, tokenizer: Path) -> Path:
    """Write the checkpoint `name` into the package and return its folder."""
    recipe = RECIPES[name]
    folder = PACKAGE / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights / name / "model.safetensors", folder / "model.safetensors")
    shutil.copyfile(weights / name / "report.json", folder / "training_report.json")
    shutil.copyfile(tokenizer, folder / "tokenizer.model")
    files = {
        "config.json": config(recipe),
        "generation_config.json": generation_config(),
        "tokenizer_config.json": tokenizer_config(recipe),
        "special_tokens_map.json": special_tokens_map(),
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=SCRATCH, help="what train.py wrote")
    parser.add_argument("--tokenizer", type=Path, default=SCRATCH / "tokenizer.model")
    parser.add_argument("--model", choices=RECIPES, action="append", help="repeatable; by default every trained one")
    args = parser.parse_args()
    names = args.model or [name for name in RECIPES if (args.weights / name / "model.safetensors").exists()]
    for name in names:
        folder = export(name, args.weights, args.tokenizer)
        print(f"{name}: {(folder / 'model.safetensors').stat().st_size / 1e6:.2f} MB in {folder}")


if __name__ == "__main__":
    main()
