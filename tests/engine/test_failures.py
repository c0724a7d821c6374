"""Error texts that vLLM, torch and transformers really produce lead to the right advice."""

from __future__ import annotations

import pytest

from baichuan_cli.engine.failures import recognise


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AttributeError: 'BaichuanTokenizer' object has no attribute 'sp_model'", "tokenization_baichuan.py"),
        ("AttributeError: BaichuanTokenizer has no attribute vocab_size", "tokenization_baichuan.py"),
        ("TypeError: 'property' object cannot be interpreted as an integer", "tokenization_baichuan.py"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB", "Out of memory."),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", "Out of memory."),
        ("ValueError: No available memory for the cache blocks. Try increasing", "No room for the KV cache"),
        (
            "model's max seq len (4096) is larger than the maximum number of tokens that can be stored in KV cache",
            "No room for the KV cache",
        ),
        (
            "ValueError: Available memory on node 0 (21.58/23.54 GiB) on kv cache allocation is less than requested "
            "memory for kv (100000.0 GiB).",
            "No room for the KV cache",
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
            "This card has no bfloat16.",
        ),
        ("safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge", "damaged"),
        ("RuntimeError: Cannot find any model weights with `/models/x`", "missing"),
        (
            "The input size is not aligned with the quantized weight shape. This can be caused by too large tensor",
            "quantization groups",
        ),
        (
            "ValueError: Model architecture BaiChuanForCausalLM was supported in vLLM until v0.23.0, and is not",
            "no Baichuan of its own",
        ),
        (
            "RuntimeError: Failed to load the model config. If the model is a custom model not yet available in the "
            "HuggingFace transformers library, consider setting `trust_remote_code=True` in LLM or using the flag.",
            "did not get configuration and tokenizer",
        ),
        (
            'ImportError: The `airports` module requires "pyairports" to be installed. You can install it with "pip '
            'install pyairports"',
            "PyPI lost it",
        ),
        ("ImportError: libgalaxyhip.so.5: cannot open shared object file", "driver library"),
        ("RuntimeError: operator torchvision::nms does not exist", "another torch"),
    ],
)
def test_known_texts(text: str, message: str) -> None:
    cause = recognise(f"some line\n{text}\nanother line")
    assert cause is not None
    assert message in cause.message


def test_an_unknown_text_is_not_guessed_at() -> None:
    assert recognise("KeyError: 'flux_capacitor'") is None
