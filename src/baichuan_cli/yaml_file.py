"""Read one YAML file of a person's, and say where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from yaml import Node


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the file's mapping; an empty file has an empty one.

    Raises:
        BcliError: there is no such file, it is not text in UTF-8, not YAML, or no mapping; the message names the
            file, and the line and column where there is one.
    """
    import yaml

    text = _read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(path, node)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or "it cannot be read"
        raise _invalid(path, f"this is no valid YAML: {problem}", error.problem_mark) from None
    except yaml.YAMLError as error:
        raise _invalid(path, f"this is no valid YAML: {error}") from None
    except (RecursionError, ValueError) as error:
        # yaml lets these through: lists in lists a thousand deep, and dates such as 2024-13-45.
        raise _invalid(path, f"this cannot be read: {error}") from None
    if data is None:  # nothing but comments, perhaps
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise _invalid(path, "the file holds no settings: write lines like 'name: value'")
    return data


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise _invalid(path, "this is a folder, not a file")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BcliError(f"There is no file {path}.", exit_code=ExitCode.NOT_FOUND) from None
    except UnicodeDecodeError as error:
        raise _invalid(
            path, f"the file is no UTF-8 text: byte {error.object[error.start]:#04x} at position {error.start}"
        ) from None


def _refuse_repeated_keys(path: Path, node: Node | None) -> None:
    # yaml keeps the last of two equal keys without a word.
    import yaml

    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _invalid(path, f"{key.value!r} stands here a second time", key.start_mark)
            seen.add(str(key.value))
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)


def _invalid(path: Path, what: str, mark: Any = None) -> BcliError:
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return BcliError(f"{path}{where}: {what}.", exit_code=ExitCode.INVALID)
