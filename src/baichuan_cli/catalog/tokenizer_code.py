"""What `tokenization_baichuan.py` does in `__init__`, told from its syntax tree. The file is never executed.

transformers from 4.34 on asks for the vocabulary inside `super().__init__`, so SentencePiece must be loaded before it
(huggingface/transformers#26882). The published files load it after.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

#: The published files set these behind `super().__init__`; none is one that the base class sets or reads but by them.
_SET_BEHIND_BASE_CALL = frozenset({"vocab_file", "add_bos_token", "add_eos_token", "sp_model"})
_CLASSES = ("BaichuanTokenizer", "BaiChuanTokenizer")
_LOADERS = ("Load", "load", "LoadFromFile")


class UnrecognisedCodeError(ValueError):
    """The file is none of the known layouts; the message says why, as the end of a sentence about the file."""


@dataclass(frozen=True, slots=True)
class Initialiser:
    """The `__init__` of the tokenizer's class.

    Attributes:
        statements: its body, the very list in the tree.
        base_call: which statement is `super().__init__(…)`.
        broken: whether SentencePiece is loaded only after that statement.
    """

    statements: list[ast.stmt]
    base_call: int
    broken: bool


def parse_code(source: bytes) -> ast.Module:
    """Parse Python source.

    Raises:
        UnrecognisedCodeError: it is no Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(source)
    except SyntaxError as error:
        where = f" in line {error.lineno}" if error.lineno else ""
        raise UnrecognisedCodeError(f"is no Python: {error.msg}{where}") from None
    except (ValueError, RecursionError, MemoryError):
        raise UnrecognisedCodeError("is no Python") from None


def find_initialiser(tree: ast.Module) -> Initialiser:
    """Find the tokenizer's `__init__` and what decides whether it works.

    Raises:
        UnrecognisedCodeError: the file is none of the known layouts.
    """
    statements = _only_initialiser(tree).body
    base_call = _only_base_call(statements)
    loaded = _loaded(statements)
    broken = base_call < loaded
    if broken:
        for statement in statements[base_call + 1 :]:
            if not _can_run_before_base_call(statement):
                raise UnrecognisedCodeError(
                    f"has a statement behind super().__init__() that it may need: line {statement.lineno}"
                )
    return Initialiser(statements, base_call, broken)


def _only_initialiser(tree: ast.Module) -> ast.FunctionDef:
    found = [
        member
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in _CLASSES
        for member in node.body
        if isinstance(member, ast.FunctionDef) and member.name == "__init__"
    ]
    if len(found) != 1:
        raise UnrecognisedCodeError(
            f"has {len(found) or 'no'} __init__ of a class {' or '.join(_CLASSES)}"
            + (", not one" if len(found) > 1 else "")
        )
    return found[0]


def _only_base_call(statements: Sequence[ast.stmt]) -> int:
    at_top = [index for index, statement in enumerate(statements) if _is_base_call(statement)]
    everywhere = sum(_is_base_call(node) for statement in statements for node in ast.walk(statement))
    if everywhere != 1 or not at_top:
        how = "inside another statement" if everywhere == 1 else f"{everywhere} times, not once"
        raise UnrecognisedCodeError(f"calls super().__init__() {how if everywhere else 'nowhere'} in its __init__")
    return at_top[0]


def _loaded(statements: Sequence[ast.stmt]) -> int:
    """Return the first statement behind which `self.sp_model` is loaded."""
    made = [index for index, statement in enumerate(statements) if _set_attribute(statement) == "sp_model"]
    loads = [index for index, statement in enumerate(statements) if _is_load(statement) and made and index > made[0]]
    if not loads:
        raise UnrecognisedCodeError("does not load self.sp_model in its __init__")
    return loads[0]


def _is_base_call(node: ast.AST) -> bool:
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Call(ast.Name("super")), "__init__"))):
            return True
    return False


def _set_attribute(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign([ast.Attribute(ast.Name("self"), name)]):
            return str(name)
    return None


def _is_load(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(ast.Attribute(ast.Name("self"), "sp_model"), loader))):
            return loader in _LOADERS
    return False


def _can_run_before_base_call(statement: ast.stmt) -> bool:
    """Tell whether a statement only sets what the published files set, or loads SentencePiece, from names."""
    if _is_load(statement):
        return _is_plain(statement, calls=1)
    if _set_attribute(statement) not in _SET_BEHIND_BASE_CALL:
        return False
    match statement:
        case ast.Assign(value=ast.Call(ast.Attribute(ast.Name(), "SentencePieceProcessor"))):
            return _is_plain(statement, calls=1)
        case ast.Assign(value=ast.Call(ast.Name("SentencePieceProcessor"))):
            return _is_plain(statement, calls=1)
    return _is_plain(statement, calls=0)


def _is_plain(statement: ast.stmt, *, calls: int) -> bool:
    """Tell whether a statement makes that many calls, binds no name, and reads nothing that the base class sets."""
    nodes = list(ast.walk(statement))
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    return (
        sum(isinstance(node, ast.Call) for node in nodes) == calls
        and not any(isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for node in nodes)
        and read <= {"sp_model", "sp_model_kwargs", "SentencePieceProcessor", *_LOADERS}
    )
