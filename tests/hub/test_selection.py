"""Which files are fetched, and which paths are never written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.selection import select
from baichuan_cli.hub.source import Listing, RemoteFile

#: What the repository of a 13B model holds, with what others add to theirs.
REPOSITORY = (
    ".gitattributes",
    "Community License for Baichuan2 Model.pdf",
    "README.md",
    "config.json",
    "configuration_baichuan.py",
    "generation_config.json",
    "modeling_baichuan.py",
    "pytorch_model-00001-of-00002.bin",
    "pytorch_model-00002-of-00002.bin",
    "pytorch_model.bin.index.json",
    "quantizer.py",
    "special_tokens_map.json",
    "tokenization_baichuan.py",
    "tokenizer.model",
    "tokenizer_config.json",
    "training_args.bin",
    "flax_model.msgpack",
    "tf_model.h5",
    "onnx/model.onnx",
    "original/consolidated.00.pth",
    "original/tokenizer.model",
    "assets/logo.png",
)
SAFETENSORS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
TOKENIZER_AND_CONFIG = {
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenization_baichuan.py",
    "tokenizer.model",
    "tokenizer_config.json",
}


def listing(*paths: str) -> Listing:
    return Listing("org/model", "c0ffee", tuple(RemoteFile(path, len(path)) for path in paths))


def chosen(*paths: str, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> set[str]:
    return {file.path for file in select(listing(*paths), include, exclude).files}


def test_one_format_and_what_belongs_to_it() -> None:
    with_bin = TOKENIZER_AND_CONFIG | {
        "Community License for Baichuan2 Model.pdf",
        "README.md",
        "configuration_baichuan.py",
        "modeling_baichuan.py",
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
        "pytorch_model.bin.index.json",
        "quantizer.py",
    }
    assert chosen(*REPOSITORY) == with_bin
    bins = {path for path in with_bin if ".bin" in path}
    assert chosen(*REPOSITORY, *SAFETENSORS) == (with_bin - bins) | set(SAFETENSORS)


def test_small_files_come_first() -> None:
    files = (RemoteFile("a.bin", 9), RemoteFile("config.json", 5), RemoteFile("b.json", None), RemoteFile("c.bin", 7))
    selection = select(Listing("org/model", "", files))
    assert [file.path for file in selection.files] == ["config.json", "c.bin", "a.bin", "b.json"]


def test_tokenizer_and_configuration_come_always() -> None:
    assert chosen(*REPOSITORY, include=("*00001*",)) == TOKENIZER_AND_CONFIG | {"pytorch_model-00001-of-00002.bin"}
    assert chosen(*REPOSITORY, exclude=("*",)) == TOKENIZER_AND_CONFIG
    assert chosen(*REPOSITORY, include=("onnx/*",)) == TOKENIZER_AND_CONFIG | {"onnx/model.onnx"}
    assert not select(listing(*REPOSITORY), exclude=("*.bin",)).has_weights


def test_hidden_files_never_come() -> None:
    assert chosen("config.json", ".bcli-manifest.json", ".git/hooks/post-checkout", include=("*",)) == {"config.json"}


def test_a_file_whose_name_is_no_text_stays() -> None:
    unnamed = os.fsdecode("说明.txt".encode("gbk"))
    assert chosen("config.json", unnamed, "说明.md", include=("*",)) == {"config.json", "说明.md"}
    assert [file.path for file in select(listing("config.json", unnamed)).left] == [unnamed]


def test_nothing_to_fetch_is_said() -> None:
    with pytest.raises(BcliError, match=r"org/model has no file that is wanted\."):
        select(listing("onnx/model.onnx"))


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../evil", "a\\..\\evil", "C:\\evil", "a/./b", ""])
def test_a_path_that_leaves_the_folder_refuses_everything(path: str) -> None:
    with pytest.raises(BcliError) as caught:
        select(listing("config.json", path))
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.message == (
        f"Nothing was downloaded from org/model: the path {path!r} would leave the target folder."
    )


def test_paths_that_differ_in_case_only_refuse_everything() -> None:
    with pytest.raises(BcliError, match="are one file on many systems"):
        select(listing("config.json", "Config.json"))


@given(st.lists(st.text(st.sampled_from("ab./\\ \n~%"), min_size=1, max_size=12), min_size=1, max_size=4, unique=True))
def test_whatever_is_chosen_lies_in_the_folder(paths: list[str]) -> None:
    folder = Path("/store/model")
    try:
        selection = select(listing("config.json", *paths), include=("*",))
    except BcliError:
        return
    places = [Path(f"{folder}/{file.path}") for file in selection.files]
    assert all(place.resolve().is_relative_to(folder) and place != folder for place in places)
    assert len({str(place).lower() for place in places}) == len(places)


@given(st.sets(st.sampled_from(REPOSITORY + SAFETENSORS)), st.sampled_from(["", "*", "*.json", "*.bin"]))
def test_every_file_is_chosen_or_left(paths: set[str], exclude: str) -> None:
    asked = listing("config.json", *(paths - {"config.json"}))
    selection = select(asked, exclude=(exclude,) if exclude else ())
    assert sorted(selection.files + selection.left, key=lambda file: file.path) == sorted(
        asked.files, key=lambda file: file.path
    )
    formats = {file.path.rpartition(".")[2] for file in selection.files} & {"safetensors", "bin"}
    assert len(formats) <= 1
