"""The change between two states of a mutator, so that a record need not hold the whole."""

from typing import Any

from fspop.records import MutatorChanged


def difference(old: dict[str, Any], new: dict[str, Any]) -> MutatorChanged | None:
    """What turns `old` into `new` (nested dicts of plain data with string keys); None if
    nothing.
    """
    changes: list[tuple[list[str], Any]] = []
    removals: list[list[str]] = []
    _compare(old, new, [], changes, removals)
    return MutatorChanged(set=changes, unset=removals) if changes or removals else None


def _compare(
    old: dict[str, Any],
    new: dict[str, Any],
    path: list[str],
    changes: list[tuple[list[str], Any]],
    removals: list[list[str]],
) -> None:
    removals.extend([*path, key] for key in old if key not in new)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            _compare(before, value, [*path, key], changes, removals)
        elif key not in old or _differs(before, value):
            changes.append(([*path, key], value))


def _differs(a: Any, b: Any) -> bool:
    return type(a) is not type(b) or bool(a != b)
