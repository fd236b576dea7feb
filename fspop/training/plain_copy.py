"""A state's containers copied, its leaves left to the caller; works without torch."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

Leaf = Callable[[Any], Any]


def copy_state(value: Any, leaf: Leaf) -> Any:
    """`value` with every dict, list and tuple in it new, and `leaf(x)` in place of any other x.

    An OrderedDict keeps its attributes: a module's state_dict has its versions there.
    """
    kind = type(value)
    if kind is dict:
        return _copy_items(value, leaf)
    if kind is list:
        return [copy_state(item, leaf) for item in value]
    if kind is tuple:
        return tuple(copy_state(item, leaf) for item in value)
    if kind is OrderedDict:
        copied = OrderedDict(_copy_items(value, leaf))
        vars(copied).update(_copy_items(vars(value), leaf))
        return copied
    return leaf(value)


def _copy_items(items: dict[Any, Any], leaf: Leaf) -> dict[Any, Any]:
    return {copy_state(key, leaf): copy_state(item, leaf) for key, item in items.items()}
