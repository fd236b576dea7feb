"""Other libraries' states as what a checkpoint holds (tensors and plain data), and back."""

import enum
import os
from collections import OrderedDict
from typing import Any

import torch


def plain(value: Any) -> Any:
    """`value` with its containers, numbers and paths as the plain types they stand for.

    A Counter becomes a dict, a NumPy number a number, an array a tensor, a set a sorted list, a
    path a str. What stands for nothing plain is left, and named when it is saved.
    """
    if isinstance(value, OrderedDict):  # a module's state_dict, with versions in its attributes
        return value
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return _number(value)


def python_number(value: Any) -> Any:
    """A NumPy number as that of Python; anything else as it is."""
    is_one = type(value).__module__ == "numpy" and not getattr(value, "ndim", 1)
    return value.item() if is_one else value


def _number(value: Any) -> Any:
    if type(value).__module__ == "numpy":
        return torch.as_tensor(value) if getattr(value, "ndim", 0) else value.item()
    for kind in (int, float, str):
        if isinstance(value, kind) and type(value) not in (bool, kind):
            return kind(value)
    return value


def like(fresh: Any, value: Any) -> Any:
    """`value`, which `plain` gave, in the types of a fresh state of the same object."""
    kind = type(fresh)
    if isinstance(fresh, dict) and isinstance(value, dict):
        found = {key: like(fresh.get(key), item) for key, item in value.items()}
        return found if kind in (dict, OrderedDict) else _rebuilt(kind, found)
    if isinstance(fresh, list | tuple) and kind is type(value) and len(fresh) == len(value):
        return kind(map(like, fresh, value))
    if isinstance(fresh, set | frozenset | enum.Enum | os.PathLike) and not isinstance(value, kind):
        return _rebuilt(kind, value)
    return value


def _rebuilt(kind: type, value: Any) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        return value
