"""What `fspop set` makes of a strategy: the same with other settings, or another one."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

import fspop.mutators
from fspop.errors import InvalidSetting, UsageError
from fspop.experiment_code.overrides import with_changes
from fspop.mutators import ExploreRule, Mutator, SingleWorkerExplore
from fspop.mutators.by_name import mutator_names
from fspop.mutators.described import Find, construct, told

SAME = {"explore": "mutate_fn", "mutate_fn": "explore"}
"""How strategies call what explores."""


def changed_strategy(mutator: Mutator, asked: Mapping[str, Any], find: Find | None) -> Mutator:
    """`mutator` with the changes asked for: `{"mutator": NAME}` for another strategy, and
    `{"mutator.interval": 200}` for settings of whichever it is.

    NAME and the names of rules are those of fspop.mutators, or what `find` knows; functions are
    what `find` knows. Another strategy keeps what was set in the former one and it has too. Raises
    UsageError for what does not exist or is missing, InvalidSetting for what does not fit.
    """
    parts = {key.partition(".")[2]: value for key, value in asked.items() if key != "mutator"}
    if "mutator" not in asked:
        return _with(mutator, parts, find)
    return _another(mutator, _strategy(asked["mutator"], find), parts, find)


def _strategy(name: Any, find: Find | None) -> type[Mutator]:
    found = _named(name, find) if isinstance(name, str) else None
    if isinstance(found, type) and issubclass(found, Mutator) and found is not Mutator:
        return found
    strategies = mutator_names()
    near = difflib.get_close_matches(str(name), strategies, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"mutator: got {name!r}{hint} (there are {', '.join(strategies)}, and classes of the "
        "experiment's code by their name)"
    )


def _another(
    former: Mutator, cls: type[Mutator], parts: Mapping[str, Any], find: Find | None
) -> Mutator:
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    settings = {name: value for name, value in _kept(former, cls).items() if name in fields}
    settings |= _resolved(parts, settings, cls, find)
    for name in settings:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(
                f"mutator.{name}: {cls.__name__} has no setting {name!r}{hint} "
                f"(it has {', '.join(fields)})"
            )
    missing = [f"mutator.{n}" for n, f in fields.items() if n not in settings and _is_needed(f)]
    if missing:
        raise UsageError(
            f"mutator: {cls.__name__} needs {' and '.join(missing)}; give it, as in "
            f"'mutator={cls.__name__} {missing[0]}=...'"
        )
    return construct(cls, settings)  # type: ignore[no-any-return]


def _is_needed(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _kept(former: Mutator, cls: type[Mutator]) -> dict[str, Any]:
    """What was set in the former strategy (not left at its default), by the names `cls` has."""
    kept = {}
    for field in dataclasses.fields(former):
        value = getattr(former, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if field.init and (_is_needed(field) or told(value) != told(default)):
            kept[field.name] = value
    if SingleWorkerExplore not in (type(former), cls):  # its function takes other arguments
        names = {f.name for f in dataclasses.fields(cls)}
        kept |= {SAME[n]: kept[n] for n in SAME if n in kept and n not in names}
    return kept


def _with(mutator: Mutator, parts: Mapping[str, Any], find: Find | None) -> Mutator:
    """The same strategy with other settings."""
    settings = {f.name: getattr(mutator, f.name) for f in dataclasses.fields(mutator) if f.init}
    changes = _resolved(parts, settings, type(mutator), find)
    pairs = [([name], value) for name, value in changes.items()]
    return with_changes(mutator, pairs, "mutator")  # type: ignore[no-any-return]


def _resolved(
    parts: Mapping[str, Any], settings: Mapping[str, Any], cls: type, find: Find | None
) -> dict[str, Any]:
    """By setting, its new value: names become rules and functions, and what was asked of a part of
    a setting is done to what it was, or to what was given as well.
    """
    found: dict[str, Any] = {}
    for head in dict.fromkeys(key.partition(".")[0] for key in parts):
        value = settings.get(head, _default(cls, head))
        if head in parts:
            value = _value(parts[head], value, head, find)
        below = [
            (key.split(".")[1:], part) for key, part in parts.items() if key.startswith(f"{head}.")
        ]
        found[head] = with_changes(value, below, f"mutator.{head}") if below else value
    return found


def _default(cls: type, name: str) -> Any:
    for field in dataclasses.fields(cls):
        if field.name == name and field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
    return None


def _value(given: Any, value: Any, head: str, find: Find | None) -> Any:
    """What a setting was set to: a name is a rule's or a function's where the setting holds one."""
    holds_rules = callable(value) or dataclasses.is_dataclass(value) or head in SAME
    if not isinstance(given, str) or not holds_rules:
        return given
    found = _named(given, find)
    if isinstance(found, type) and dataclasses.is_dataclass(found):
        return construct(found, {})
    if not callable(found) or isinstance(found, type):
        rules = [n for n in fspop.mutators.__all__ if _is_explore_rule(n)]
        raise UsageError(
            f"mutator.{head}: got {given!r}; give the name of a rule ({', '.join(rules)}, ...), or "
            "of a function in the experiment's code"
        )
    return found


def _is_explore_rule(name: str) -> bool:
    found = getattr(fspop.mutators, name)
    return isinstance(found, type) and issubclass(found, ExploreRule) and found is not ExploreRule


def _named(name: str, find: Find | None) -> Any:
    """What fspop.mutators or the experiment's code calls so; None for nothing."""
    if name in fspop.mutators.__all__:
        return getattr(fspop.mutators, name)
    try:
        return find(name) if find is not None else None
    except InvalidSetting:
        if ":" in name:
            raise
        return None
