"""What `bcli models` prints, as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.cli.app import app
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.model_facts import rows
from baichuan_cli.errors import BcliError, ExitCode
from catalog.checkpoint_folder import Folder

LIST = """\
baichuan-7b                       14.0 GB  bin fp16          –          –
baichuan-7b-chat                  14.0 GB  bin fp16          –          –
baichuan-7b-gptq                  4.4 GB   gptq 4-bit g128   –          –
baichuan-13b-base                 26.5 GB  bin bf16          –          –
baichuan-13b-chat                 26.5 GB  bin bf16          baichuan1  –
baichuan2-7b-base                 15.0 GB  bin bf16          –          –
baichuan2-7b-chat                 15.0 GB  bin bf16          baichuan2  –
baichuan2-7b-chat-gptq-int4       5.4 GB   gptq 4-bit g128   baichuan2  –
baichuan2-13b-base                27.8 GB  bin bf16          –          –
baichuan2-13b-chat                27.8 GB  bin bf16          baichuan2  –
baichuan2-13b-chat-gptq           9.1 GB   gptq 4-bit g128   baichuan2  –
baichuan2-13b-chat-gptq-4bit-32g  9.9 GB   gptq 4-bit g32    baichuan2  –
baichuan2-7b-chat-4bits           5.1 GB   not for vLLM      baichuan2  –
baichuan2-13b-chat-4bits          8.6 GB   not for vLLM      baichuan2  –
"""

SHOW_GPTQ = """\
name             Baichuan2-13B-Chat-GPTQ
model            Baichuan2-13B, 13.90 billion parameters, BaichuanForCausalLM
shape            40 layers, 40 heads of 128, hidden 5120, MLP 13696, vocabulary 125,696
position         ALiBi, trained for 4,096 tokens
head             normalised (NormHead)
weights          safetensors, float16, 9.1 GB
quantization     gptq 4-bit, groups of 128, desc_act true
chat             baichuan2
weights need     8.5 GiB
KV cache needs   800 KiB a token, 3.1 GiB for 4,096 tokens
tensor parallel  1 card only
here             no
get it           https://huggingface.co/TheBloke/Baichuan2-13B-Chat-GPTQ
                 https://hf-mirror.com/TheBloke/Baichuan2-13B-Chat-GPTQ
licence          Apache-2.0 and the Community License for Baichuan 2 Model
                 Free for research. Commercial use needs Baichuan's approval and fewer than a million daily users.
not sure         weights format, quantization desc_act
notes            Runs on one card only, because 13696 = 107 × 128 cannot be split by whole groups of 128.
                 The repository has several branches; these facts are about main.
"""

INSPECTION = """\
name             tune
model            a shape of its own, 48,840 parameters, BaichuanForCausalLM
shape            2 layers, 4 heads of 10, hidden 40, MLP 64, vocabulary 256
position         ALiBi, trained for 4,096 tokens
head             plain
weights          safetensors, bfloat16, 0.1 MB
quantization     none
chat             none
weights need     0.1 MiB in 16 bits, 0.2 MiB in float32
KV cache needs   0.3125 KiB a token, 1.2 MiB for 4,096 tokens
tensor parallel  1, 2 or 4 cards
files            model.safetensors, whole

note: Its shape is none of the four that Baichuan published.
  Nothing to do: bcli takes the sizes from config.json.
"""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "tune", "baichuan-13b", vocab_size=256)
    made.write_safetensors()
    return made


def test_list_starts_with_the_demos_and_fits_a_terminal() -> None:
    header, *lines = run("list").splitlines(keepends=True)
    assert header == "name                              size     format            chat       here\n"
    assert "".join(line for line in lines if not line.startswith("demo")) == LIST
    assert lines[0].startswith("demo ")
    assert max(map(len, lines)) <= 80


def test_list_as_json_gives_bytes_and_paths() -> None:
    listed = json.loads(run("list", "--json"))
    assert listed["schema"] == "bcli.models/1"
    by_name = {model["name"]: model for model in listed["models"]}
    assert by_name["baichuan2-13b-chat"]["weights"] == {
        "format": "bin",
        "dtype": "bfloat16",
        "bytes": 27_793_336_320,
    }
    assert by_name["baichuan2-13b-chat"]["tensor_parallel_sizes"] == [1, 2, 4, 8]
    assert by_name["baichuan2-13b-chat"]["path"] is None
    assert Path(by_name["demo"]["path"]).is_dir()


def test_show() -> None:
    assert run("show", "TheBloke/Baichuan2-13B-Chat-GPTQ") == SHOW_GPTQ


def test_show_names_every_source() -> None:
    shown = run("show", "baichuan2-7b-chat")
    for source in ("huggingface.co/baichuan-inc", "hf-mirror.com/baichuan-inc", "modelscope.cn", "/aimodels/"):
        assert source in shown


def test_show_says_plainly_what_the_demo_is() -> None:
    shown = run("show", "demo")
    assert "a tiny Baichuan-7B look-alike (RoPE) that comes with bcli" in shown
    assert "It is no assistant." in shown


def test_show_says_why_vllm_cannot_load_a_model_and_what_to_take() -> None:
    shown = run("show", "baichuan2-7b-chat-4bits")
    assert "vLLM          cannot load it: its weights are bitsandbytes tensors" in shown
    assert "instead       baichuan2-7b-chat-gptq-int4 or baichuan2-7b-chat" in shown
    assert "weights need" not in shown
    assert json.loads(run("show", "baichuan2-7b-chat-4bits", "--json"))["tensor_parallel_sizes"] == []


def test_show_as_json_tells_what_is_not_verified() -> None:
    shown = json.loads(run("show", "baichuan-7b", "--json"))
    assert shown["schema"] == "bcli.model/1"
    assert shown["parameters"] == 7_000_559_616
    assert shown["entry"]["unverified"] == ["weights.format", "weights.dtype"]


def test_inspect(folder: Folder) -> None:
    assert run("inspect", str(folder.path)) == INSPECTION


def test_inspect_as_json(folder: Folder) -> None:
    inspected = json.loads(run("inspect", str(folder.path), "--json"))
    assert inspected["schema"] == "bcli.inspection/1"
    assert inspected["path"] == str(folder.path)
    assert inspected["architecture"]["position_embedding"] == "alibi"
    assert inspected["files"] == ["model.safetensors"]
    assert inspected["oddities"] == [
        {
            "severity": "note",
            "text": "Its shape is none of the four that Baichuan published.",
            "what_to_do": "Nothing to do: bcli takes the sizes from config.json.",
        }
    ]


def test_groups_that_no_number_of_cards_can_share() -> None:
    model = load_catalogue().model(load_catalogue().get("baichuan2-13b-chat-gptq"))  # type: ignore[arg-type]
    assert model.quantization is not None
    odd = replace(model, quantization=replace(model.quantization, group_size=256))
    assert rows(odd, "")[-1] == ("tensor parallel", "none: its quantization groups do not fill its layers")


def test_an_unknown_name_and_a_missing_folder_say_what_to_do(tmp_path: Path) -> None:
    for arguments in (["show", "baichuan3"], ["inspect", str(tmp_path / "nowhere")]):
        with pytest.raises(BcliError) as caught:
            run(*arguments)
        assert caught.value.exit_code == ExitCode.NOT_FOUND
        assert "bcli models list" in caught.value.hint


def test_completion_goes_by_the_start_in_any_case() -> None:
    assert complete_model("Baichuan2-13b-chat-") == [
        "baichuan2-13b-chat-gptq",
        "baichuan2-13b-chat-gptq-4bit-32g",
        "baichuan2-13b-chat-4bits",
    ]
