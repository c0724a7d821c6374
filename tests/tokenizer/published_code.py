"""A small tokenizer class for SentencePiece, in every layout in which `tokenization_baichuan.py` is met."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reference.small_tokenizer import write_tokenizer

LICENCE = "# A licence header, as some of the files have it.\n#\n\n"
IMPORTS = """\
import shutil

import sentencepiece as spm
from transformers.tokenization_utils import AddedToken, PreTrainedTokenizer

"""
HEAD = '''\
class {name}(PreTrainedTokenizer):
    """A tokenizer for the tests, for transformers 4 and 5."""

    vocab_files_names = {{"vocab_file": "tokenizer.model"}}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token=None,
        sp_model_kwargs=None,
        add_bos_token=True,
        add_eos_token=False,
        clean_up_tokenization_spaces=False,
        **kwargs,
    ):
        self.sp_model_kwargs = {{}} if sp_model_kwargs is None else sp_model_kwargs
'''
ONE_LINE = "        {0} = AddedToken({0}, lstrip=False, rstrip=False) if isinstance({0}, str) else {0}\n"
SEVERAL_LINES = """\
        {0} = (
            AddedToken({0}, lstrip=False, rstrip=False)
            if isinstance({0}, str)
            else {0}
        )
"""
BASE_CALL = """\
        super().__init__(
            bos_token=bos_token,
            eos_token=eos_token,
            unk_token=unk_token,
            pad_token=pad_token,
            sp_model_kwargs=self.sp_model_kwargs,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            **kwargs,
        )
"""
SETTINGS = """\
        self.vocab_file = vocab_file
        self.add_bos_token = add_bos_token
        self.add_eos_token = add_eos_token
"""
MODEL = """\
        self.sp_model = spm.SentencePieceProcessor(**self.sp_model_kwargs)
        self.sp_model.Load(vocab_file)
"""
TAIL = '''
    def __getstate__(self):
        state = dict(self.__dict__)
        state["sp_model"] = None
        return state

    def __setstate__(self, state):
        self.__dict__ = state
        self.sp_model = spm.SentencePieceProcessor(**self.sp_model_kwargs)
        self.sp_model.Load(self.vocab_file)

    @property
    def vocab_size(self):
        """How many pieces there are."""
        return self.sp_model.get_piece_size()

    def get_vocab(self):
        pieces = {self.convert_ids_to_tokens(index): index for index in range(self.vocab_size)}
        return {**pieces, **self.added_tokens_encoder}

    def _tokenize(self, text):
        return self.sp_model.encode(text, out_type=str)

    def _convert_token_to_id(self, token):
        return self.sp_model.piece_to_id(token)

    def _convert_id_to_token(self, index):
        return self.sp_model.IdToPiece(index)

    def convert_tokens_to_string(self, tokens):
        return self.sp_model.decode(tokens)

    def save_vocabulary(self, save_directory, filename_prefix=None):
        return (shutil.copy(self.vocab_file, save_directory),)
'''


def commented(block: str) -> str:
    return "".join(f"        # {line.strip()}\n" for line in block.splitlines())


@dataclass(frozen=True)
class Layout:
    """One way in which the file is met; `str` gives its text."""

    name: str = "BaichuanTokenizer"
    header: str = ""
    added_token: str = ONE_LINE
    body: str = BASE_CALL + SETTINGS + MODEL
    end: str = "\n"

    def __str__(self) -> str:
        tokens = "".join(map(self.added_token.format, ("bos_token", "eos_token", "unk_token")))
        text = self.header + IMPORTS + "\n" + HEAD.format(name=self.name) + tokens + self.body + TAIL
        return text.replace("\n", self.end)


BROKEN = {
    "7B": Layout("BaiChuanTokenizer"),
    "13B": Layout(header=LICENCE),
    "Baichuan2-7B": Layout(),
    "Baichuan2-13B": Layout(header=LICENCE, added_token=SEVERAL_LINES),
    "CRLF": Layout(end="\r\n"),
    "loaded twice, too late": Layout(body=BASE_CALL + SETTINGS + MODEL + MODEL),
    "half repaired": Layout(body=MODEL.splitlines(True)[0] + BASE_CALL + SETTINGS + MODEL),
}
WORKING = {
    "repaired upstream": Layout(body=SETTINGS + MODEL + BASE_CALL),
    "sp_model block twice": Layout(body=MODEL + BASE_CALL + SETTINGS + MODEL),
    "old block commented out": Layout(body=commented(BASE_CALL) + SETTINGS + MODEL + BASE_CALL),
}


def write_checkpoint(folder: Path, layout: Layout, *, single_word: bool = True) -> Path:
    """Write the tokenizer files of a checkpoint, published in the manner of the 13B repositories."""
    folder.mkdir(exist_ok=True)
    write_tokenizer(folder, class_name=layout.name)
    for module in ("configuration", "modeling"):
        (folder / f"{module}_baichuan.py").unlink()
    (folder / "tokenization_baichuan.py").write_bytes(str(layout).encode())
    (folder / "config.json").write_text('{"model_type": "baichuan"}')
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": single_word}
    config = json.loads((folder / "tokenizer_config.json").read_text())
    names = ("bos_token", "eos_token", "unk_token", "pad_token")
    tokens = {name: {"content": config[name]["content"], **flags} for name in names}
    config |= {name: {"__type": "AddedToken", **token} for name, token in tokens.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens, indent=2) + "\n")
    return folder
