"""Settings changed at init without touching the file: `--set mutator.interval=200`.

They are recorded in run.json and applied again by each worker.
"""

import dataclasses
import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from fspop.errors import FspopError, UsageError
from fspop.experiment import Experiment
from fspop.space import Space

Change = tuple[list[str], Any]
"""The keys that remain on the way down, and the new value at their end."""


def parse_override(text: str, where: str = "--set") -> tuple[str, Any]:
    """(key, value) of `key=value`; the value is read as JSON, or else taken as a string."""
    key, equals, value = text.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise UsageError(f"{where}: got {text!r}; write key=value, as in mutator.interval=200")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value


def apply_overrides(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """A new experiment with each dotted key set; its own checks run once, on the whole.

    Raises UsageError for a key that does not exist, InvalidSetting for a value that does not fit.
    """
    if not overrides:
        return experiment
    changes = [(key.split("."), value) for key, value in overrides.items()]
    try:
        return with_changes(experiment, changes, "")  # type: ignore[no-any-return]
    except UsageError as error:
        raise UsageError(f"--set {error.message}") from error


def with_changes(value: Any, changes: list[Change], where: str) -> Any:
    """`value` with the changes below it made; `where` is its own dotted key."""
    if isinstance(value, Space):
        return Space(with_changes(value.mapping, changes, where))
    names = _names(value)
    if not names:
        key = ".".join([where, *changes[0][0]])
        raise UsageError(f"{key}: {where} is {value!r}, which has no settings of its own")
    heads = dict.fromkeys(keys[0] for keys, _ in changes)
    for head in heads:
        _check_known(head, names, value, where)
    new = {head: _new_value(value, head, changes, f"{where}.{head}".strip(".")) for head in heads}
    return {**value, **new} if isinstance(value, Mapping) else _replaced(value, new, where)


def _names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in dataclasses.fields(value) if field.init]
    return []


def _check_known(head: str, names: Iterable[str], value: Any, where: str) -> None:
    if head in names:
        return
    owner = where if isinstance(value, Mapping) else type(value).__name__
    near = difflib.get_close_matches(head, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    key = f"{where}.{head}".strip(".")
    raise UsageError(f"{key}: {owner} has no setting {head!r}{hint} (it has {', '.join(names)})")


def _new_value(value: Any, head: str, changes: list[Change], where: str) -> Any:
    old = value[head] if isinstance(value, Mapping) else getattr(value, head)
    below = [(keys[1:], new) for keys, new in changes if keys[0] == head]
    whole = [new for keys, new in below if not keys]
    if not whole:
        return with_changes(old, below, where)
    if len(below) > 1:
        raise UsageError(f"{where}: given as a whole and in part; give one of the two")
    return tuple(whole[0]) if isinstance(old, tuple) and isinstance(whole[0], list) else whole[0]


def _replaced(value: Any, new: dict[str, Any], where: str) -> Any:
    try:
        return dataclasses.replace(value, **new)
    except FspopError:
        raise
    except Exception as error:  # a user's own dataclass may check its fields in any way
        keys = ", ".join(f"{where}.{name}={v!r}".strip(".") for name, v in new.items())
        raise UsageError(f"{keys}: {type(error).__name__}: {error}") from error
