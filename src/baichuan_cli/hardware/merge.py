"""How a profile that extends another becomes one: the arithmetic of `extends`, on plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Sections that are merged entry by entry, with those inside them; any other key of the child replaces the parent's.
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "hardware": ("unsupported_architectures", "forbidden_quantizations", "doubtful_quantizations"),
    "settings": (),
    "environment": (),
    "forbidden_environment": (),
}
#: Sections that a condition can hold too.
_CONDITIONAL = ("settings", "environment")


def extend(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Return the child's profile with everything that only the parent says.

    The sections are merged entry by entry; an entry is replaced as a whole, so no reason outlives its value. What
    the child says plainly also replaces what the parent's conditions say of it, and the child's conditions come after
    the parent's. `null` takes an inherited entry away.
    """
    inherited = parent.get("conditions")
    own = child.get("conditions", [])
    if isinstance(inherited, list) and isinstance(own, list):
        child = {**child, "conditions": [*(_without(condition, child) for condition in inherited), *own]}
    return _overlay(parent, child, _SECTIONS)


def _overlay(parent: Mapping[str, Any], child: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        inherited = parent.get(key, {})
        if key in sections and isinstance(inherited, Mapping) and isinstance(value, Mapping):
            merged[key] = _overlay(inherited, value, dict.fromkeys(sections[key], ()))
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _without(condition: Any, child: Mapping[str, Any]) -> Any:
    """Return a parent's condition less the entries that the child decides."""
    if not isinstance(condition, Mapping):
        return condition
    kept = dict(condition)
    for section in _CONDITIONAL:
        if isinstance(kept.get(section), Mapping):
            decided = child.get(section)
            decided = decided if isinstance(decided, Mapping) else {}
            kept[section] = {name: value for name, value in kept[section].items() if name not in decided}
    return kept
