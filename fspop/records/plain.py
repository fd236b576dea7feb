"""Plain data: what reads back from JSON as it was written."""

import math
from typing import Any

import msgspec

from fspop.errors import InvalidSetting


def check_plain(value: Any, what: str) -> Any:
    """Returns `value` as it will read back from JSON; raises InvalidSetting if that would change
    it.

    Plain data is None, bool, int, float (finite), str, and lists and string-keyed dicts of those.
    Tuples become lists.
    """
    try:
        return _plain(value)
    except _Unusual:
        return _checked(value, what)


class _Unusual(Exception):
    """Not obviously plain data."""


def _plain(value: Any) -> Any:
    """What is obviously plain, without words for where it stands: they cost more than all else."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if (kind is float and math.isfinite(value)) or (kind is int and -(2**63) <= value < 2**64):
        return value
    if kind is list or kind is tuple:
        return [_plain(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise _Unusual


def _checked(value: Any, what: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InvalidSetting(
                f"{what}: got {value}, an integer beyond 64 bits; use a float or a string"
            )
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidSetting(f"{what}: got {value}, but plain data has no NaN or infinity")
        return float(value)
    if isinstance(value, list | tuple):
        return [_checked(item, f"{what}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidSetting(f"{what}: got the key {key!r}; keys of plain data are strings")
        return {key: _checked(item, f"{what}.{key}") for key, item in value.items()}
    raise InvalidSetting(
        f"{what}: got {type(value).__name__}, but it must be plain data "
        "(numbers, strings, booleans, None, lists, dicts with string keys)"
    )


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def encode_json(value: Any) -> bytes:
    """Compact JSON bytes of a struct or plain data."""
    return msgspec.json.encode(value)
