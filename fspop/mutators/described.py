"""A strategy as data, and back: what a record says of it is enough to build it again."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from fspop.errors import FspopError, InvalidSetting
from fspop.mutators.base import Mutator, as_data
from fspop.records import encode_json

Find = Callable[[str], Any]
"""Gives what the experiment's code calls by the path "module:name"; raises InvalidSetting."""


def build(
    data: Mapping[str, Any], original: Mutator | None = None, find: Find | None = None
) -> Any:
    """The strategy or rule that `data` describes, as `as_data` gave it.

    What has no name that could be imported (a lambda, a partial) comes from `original`, the
    strategy that the experiment's code holds, where that has the same; other functions and classes
    that are not fspop's come from there too, or from `find`. Raises InvalidSetting, saying what to
    do.
    """
    return _built(data, original, Sources(original, find))


class Sources:
    """Where functions and classes come from, by their import path."""

    def __init__(self, original: Mutator | None, find: Find | None):
        self._find = find
        self._known = dict(_named(original)) if original is not None else {}

    def function(self, path: str) -> Any:
        """A function of the user's."""
        found = self._known.get(path) or self._looked_up(path)
        if not callable(found) or isinstance(found, type):
            raise InvalidSetting(f"{path}: is a {type(found).__name__}; give a function")
        return found

    def cls(self, data: Mapping[str, Any]) -> type:
        """The class of a strategy or rule: one of the user's, or one of fspop's."""
        path, name = data.get("class"), str(data["name"])
        if path is None:
            found = getattr(importlib.import_module("fspop.mutators"), name, None)
            if not isinstance(found, type):
                raise InvalidSetting(
                    f"mutator: got {name!r}, which fspop.mutators of this fspop does not have; "
                    "upgrade fspop"
                )
            return found
        found = self._known.get(path) or self._looked_up(path)
        if not isinstance(found, type) or not dataclasses.is_dataclass(found):
            raise InvalidSetting(f"{path}: got {found!r}; a strategy or a rule is a dataclass")
        return found

    def _looked_up(self, path: str) -> Any:
        if self._find is None or "<" in path:
            raise InvalidSetting(
                f"mutator: {path} can only come from the program that made this run, or from the "
                "strategy its experiment was written with; give a function that has a name there"
            )
        return self._find(path)


def _named(value: Any) -> list[tuple[str, Any]]:
    """Functions and classes of the user's in a strategy, by import path."""
    data = told(value)
    if isinstance(data, dict) and set(data) == {"function"}:
        return [(data["function"], value)]
    if not _is_rule(data):
        return []
    own = [(data["class"], type(value))] if "class" in data else []
    fields = (getattr(value, f.name) for f in dataclasses.fields(value))
    return own + [pair for field in fields for pair in _named(field)]


def told(value: Any) -> Any:
    """`as_data`, or None for a setting of a user's own that is no data and no function."""
    try:
        return as_data(value)
    except InvalidSetting:
        return None


def _is_rule(data: Any) -> bool:
    return isinstance(data, Mapping) and set(data) - {"class"} == {"name", "settings"}


def _built(data: Any, original: Any, sources: Sources) -> Any:
    if original is not None and encode_json(told(original)) == encode_json(data):
        return original  # to the letter: 20 is not 20.0
    if isinstance(data, Mapping) and set(data) == {"function"}:
        return sources.function(str(data["function"]))
    if not _is_rule(data):
        return data
    cls = sources.cls(data)
    computed = {f.name for f in dataclasses.fields(cls) if not f.init}
    settings = {
        name: _built(value, getattr(original, name, None), sources)
        for name, value in data["settings"].items()
        if name not in computed
    }
    return construct(cls, settings)


def construct(cls: type, settings: Mapping[str, Any]) -> Any:
    """An object of the class; what its constructor does not like becomes an InvalidSetting."""
    try:
        return cls(**settings)
    except FspopError:
        raise
    except Exception as error:  # a user's own class may check its settings in any way
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise InvalidSetting(f"{cls.__name__}({given}): {type(error).__name__}: {error}") from error
