"""What SentencePiece does to a text before it looks for pieces, told to the Rust tokenizer: Baichuan 1's manner.

SentencePiece replaces, from left to right, the longest match among some 225,000 sequences (Unicode NFKC, and control
characters deleted); user-defined symbols are left alone. The Rust `Precompiled` normaliser reads the same table but
looks up a whole grapheme first and takes the shortest match in it, so `\\r\\n` loses its line break and `e` with two
accents the second one. The steps here get the right result out of it:

1. Behind each match of several characters, or before a combining character that no match includes, goes a separator.
2. A second separator goes behind each replaced character that could begin a grapheme of less than six bytes, the only
   ones that are looked up whole.
3. `Precompiled` replaces single characters; NFC then joins what belongs together, and nothing across a separator.

Both separators are control characters that the table deletes, so one in the text changes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from baichuan_cli.vllm_plugin.charsmap import Charsmap, character_class, compile_single
from baichuan_cli.vllm_plugin.sentencepiece_model import SPACE, SentencePieceModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def normaliser(model: SentencePieceModel) -> Any:
    """Return the Rust normaliser that rewrites as this model does.

    Raises:
        ValueError: the model's table deletes fewer than two control characters.
    """
    from tokenizers import normalizers

    steps: list[Any] = []
    if model.dummy_prefix:
        steps.append(normalizers.Prepend(" "))
    if model.charsmap:
        steps += _table(model)
    steps.append(normalizers.Replace(" ", SPACE))
    return normalizers.Sequence(steps)


def _table(model: SentencePieceModel) -> list[Any]:
    from tokenizers import Regex, normalizers

    table = read_table(model)
    deleted = [character for character in map(chr, range(1, 9)) if table.single.get(character) == ""]
    if len(deleted) < 2:
        raise ValueError("no exact fast tokenizer: the normaliser deletes fewer than two control characters.")
    between, within = deleted[:2]
    single = {character: text for character, text in table.single.items() if character != between}
    short = character_class(character for character in single if character < "\u0800")
    medium = character_class(character for character in single if "\u0800" <= character < "\U00010000")
    continuing = rf"[\p{{M}}{character_class(table.continuing)}]"
    return [
        normalizers.Replace(Regex(rf"(?=(?m:.){continuing})(?>{table.sequences}|(?m:.))\K"), between),
        normalizers.Replace(Regex(rf"{short}\K(?=[^\x00-\x7F]|\n)|{medium}\K(?=[\x{{80}}-\x{{7FF}}])"), within),
        normalizers.Precompiled(compile_single(single)),
        normalizers.NFC(),
        normalizers.Replace(between, ""),
    ]


def read_table(model: SentencePieceModel) -> Charsmap:
    """Return the model's table without the user-defined symbols, which are not rewritten.

    Raises:
        ValueError: the table is cut short, or a symbol is not one character that the table could be without.
    """
    table = Charsmap(model.charsmap)
    for symbol in model.user_defined:
        if len(symbol) == 1:
            table.single.pop(symbol, None)
            touched = symbol in table.beginning
        else:
            touched = any(character in table.single or character in table.continuing for character in symbol)
        if touched:
            raise ValueError(f"no exact fast tokenizer: the normaliser rewrites the user-defined symbol {symbol!r}.")
    return table


def cuts(model: SentencePieceModel, tokenizer: Tokenizer) -> Any:
    """Return the pre-tokenizer that isolates user-defined symbols in rewritten text.

    A symbol alone in its cut gets its id because the model is asked to look cuts up before it merges
    (`ignore_merges`). A cut that reads like another piece which merging would not make, say `</s>`, is cut once more.
    Symbols of one character take part in no merge and need no cut.

    Args:
        model: the SentencePiece model.
        tokenizer: the tokenizer of this model without any cuts, which merges.

    Raises:
        ValueError: a piece that merging does not make cannot be told from its text.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Sequence as Steps
    from tokenizers.pre_tokenizers import Split

    steps = []
    if long := sorted((symbol for symbol in model.user_defined if len(symbol) > 1), key=len, reverse=True):
        steps.append(Split(Regex("|".join(map(re.escape, long))), "isolated"))
    symbols = set(model.user_defined)
    others = [piece for piece in model.ids if len(piece) > 1 and piece not in symbols]
    encodings = tokenizer.encode_batch(others, add_special_tokens=False)
    unmade = {
        piece: sorted({start for start, _ in encoding.offsets} - {0})
        for piece, encoding in zip(others, encodings, strict=True)
        if len(encoding) > 1
    }
    if unmade:
        steps.append(Split(Regex("|".join(_cut(piece, unmade) for piece in unmade)), "isolated"))
    return Steps(steps)


def _cut(piece: str, unmade: dict[str, list[int]]) -> str:
    for cut in unmade[piece]:
        if piece[:cut] not in unmade and piece[cut:] not in unmade:
            return rf"\A{re.escape(piece[:cut])}(?={re.escape(piece[cut:])}\z)"
    raise ValueError(f"no exact fast tokenizer: the piece {piece!r} is never made by merges.")
