"""The places of a space, in the order in which they are filled: whoever decides comes first."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fspop.errors import InvalidSetting
from fspop.space.checks import as_json
from fspop.space.domain import Domain
from fspop.space.floats import Uniform
from fspop.space.when import When

Path = tuple[str, ...]


class Condition(NamedTuple):
    """The hparam at `parent` has one of `values`, given as JSON."""

    parent: Path
    values: frozenset[str]

    def holds(self, hparams: Any) -> bool:
        """Whether it does in these hparams."""
        found = at(hparams, self.parent)
        return found is not MISSING and as_json(found) in self.values


class Entry(NamedTuple):
    """One place: a domain, a constant, or a dict that holds other places.

    It exists only where all its conditions hold.
    """

    path: Path
    value: Any
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)

    @property
    def is_dict(self) -> bool:
        """Whether other places lie below it."""
        return isinstance(self.value, Mapping)

    def exists(self, hparams: Any) -> bool:
        """Whether it has a place in these hparams, whose earlier places are filled."""
        return all(condition.holds(hparams) for condition in self.conditions)


MISSING = object()


def at(hparams: Any, path: Path) -> Any:
    """The value there, MISSING where there is none."""
    for key in path:
        if not isinstance(hparams, Mapping) or key not in hparams:
            return MISSING
        hparams = hparams[key]
    return hparams


def entries_of(mapping: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The places in the order of their names, those with a condition after what they depend on.

    Raises InvalidSetting for an unknown parent, a value it cannot take, conditions that go round
    in a circle or exclude each other.
    """
    found = list(_found(mapping, (), ()))
    by_name = {place.name: place for place in found}
    entries = [
        Entry(p.path, p.value, tuple(_condition(*when, p, by_name) for when in p.whens))
        for p in found
    ]
    depths = _Depths({entry.path: entry for entry in entries})
    ordered = sorted(entries, key=lambda entry: (depths.of(entry), entry.path))
    for entry in ordered:
        _check_possible(entry, depths.entries)
    return tuple(ordered)


class _Found(NamedTuple):
    """A place with its conditions as written, each with the dict it was written in."""

    path: Path
    value: Any
    whens: tuple[tuple[When, Path], ...]

    @property
    def name(self) -> str:
        return ".".join(self.path)


def _found(
    node: Mapping[str, Any], prefix: Path, whens: tuple[tuple[When, Path], ...]
) -> Iterator[_Found]:
    for key, value in node.items():
        mine = whens
        while isinstance(value, When):
            mine, value = (*mine, (value, prefix)), value.then
        yield _Found((*prefix, key), value, mine)
        if isinstance(value, Mapping):
            yield from _found(value, (*prefix, key), mine)


def _condition(when: When, where: Path, owner: _Found, by_name: Mapping[str, _Found]) -> Condition:
    scopes = [where[:length] for length in range(len(where), -1, -1)]
    names = [".".join((*scope, when.parent)) for scope in scopes]
    parent = next((by_name[name] for name in names if name in by_name), None)
    what = f"Space: {owner.name!r} exists when {when.parent!r}"
    if parent is None:
        known = ", ".join(sorted(place.name for place in by_name.values()))
        raise InvalidSetting(f"{what} has a value, which the space does not have (it has {known})")
    return Condition(parent.path, frozenset(_values(parent.value, when, what)))


def _values(parent: Any, when: When, what: str) -> list[str]:
    """The values as the parent would hold them."""
    if isinstance(parent, Mapping) or isinstance(parent, Uniform):
        kind = "a dict" if isinstance(parent, Mapping) else repr(parent)
        raise InvalidSetting(
            f"{what} has a value, but that is {kind}; name an hparam with single values, as a "
            "Choice or an Integer"
        )
    if not isinstance(parent, Domain):
        return [as_json(value) for value in when.values]  # a constant: --set may change it
    for value in when.values:
        if not parent.contains(value):
            raise InvalidSetting(f"{what} is {value!r}, which {parent!r} cannot be")
    return [as_json(parent.clip(value)) for value in when.values]


class _Depths:
    """How many conditions lie before an entry, one depending on the other."""

    def __init__(self, entries: Mapping[Path, Entry]):
        self.entries = entries
        self._known: dict[Path, int] = {}

    def of(self, entry: Entry, chain: tuple[str, ...] = ()) -> int:
        """0 without a condition. Raises InvalidSetting for a circle."""
        if entry.name in chain:
            circle = " -> ".join((*chain[chain.index(entry.name) :], entry.name))
            raise InvalidSetting(f"Space: conditions go round in a circle: {circle}; remove one")
        if entry.path not in self._known:
            parents = [self.entries[condition.parent] for condition in entry.conditions]
            below = [self.of(parent, (*chain, entry.name)) for parent in parents]
            self._known[entry.path] = 1 + max(below, default=-1)
        return self._known[entry.path]


def _check_possible(entry: Entry, entries: Mapping[Path, Entry]) -> None:
    left: dict[Path, frozenset[str]] = {}
    todo = list(entry.conditions)
    while todo:
        condition = todo.pop()
        left[condition.parent] = left.get(condition.parent, condition.values) & condition.values
        if not left[condition.parent]:
            raise InvalidSetting(
                f"Space: {entry.name!r} can never exist, for its conditions want different values "
                f"of {'.'.join(condition.parent)!r}"
            )
        todo += entries[condition.parent].conditions
