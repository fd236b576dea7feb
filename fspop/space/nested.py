"""A space: a nested dict of domains and constants, some of which exist under a condition only."""

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fspop.errors import InvalidSetting
from fspop.records import check_plain
from fspop.space.checks import as_json, check_factors, check_probability
from fspop.space.data import from_data, to_data
from fspop.space.domain import FACTORS, Domain, Factors
from fspop.space.entries import MISSING, Entry, at, entries_of
from fspop.space.when import When

RESAMPLE_PROBABILITY = 0.25
Change = Callable[[Domain, Any], Any]


@dataclasses.dataclass(frozen=True)
class Space:
    """A nested dict of domains and constants; hparams drawn from it are dicts of the same shape.

    Constants are plain data and kept as they are. Keys are strings that do not begin with "$".
    Leaves draw their random numbers in the sorted order of their keys, however they were declared.
    Hparams may hold keys the space does not know: they are kept as they are. A domain's key
    that is missing, or a plain value where the space has a dict, raises InvalidSetting.

    A `When` makes a place conditional. When what it depends on changes, it vanishes from the
    hparams, or appears with a value drawn from its domain; conditional places come after the
    others, and after what they depend on.
    """

    mapping: Mapping[str, Any]
    entries: tuple[Entry, ...] = dataclasses.field(init=False, repr=False, compare=False)
    _EXAMPLE: ClassVar[str] = "use a dict such as {'learning_rate': LogUniform(1e-4, 1e-1)}"

    def __post_init__(self) -> None:
        if not isinstance(self.mapping, Mapping):
            raise InvalidSetting(f"Space: got {self.mapping!r}; {self._EXAMPLE}")
        object.__setattr__(self, "mapping", _declare(self.mapping, "Space"))
        object.__setattr__(self, "entries", entries_of(self.mapping))
        names = [entry.name for entry in self._domains()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidSetting(f"Space: {twice[0]!r} names two domains; rename one of the keys")
        if not names:
            raise InvalidSetting(f"Space: got {self.mapping!r} without a domain; {self._EXAMPLE}")

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Fresh hparams, constants included."""
        drawn: dict[str, Any] = {}
        for entry in self.entries:
            if entry.exists(drawn):
                is_domain = isinstance(entry.value, Domain)
                value = entry.value.sample(rng) if is_domain else _given(entry)
                at(drawn, entry.path[:-1])[entry.path[-1]] = value
        return _in_order(self.mapping, drawn)

    def perturb(
        self,
        hparams: Mapping[str, Any],
        rng: random.Random,
        factors: Factors = FACTORS,
        resample_probability: float = RESAMPLE_PROBABILITY,
    ) -> dict[str, Any]:
        """New hparams: each domain's value resampled or else perturbed; everything else kept."""
        check_factors(factors, "factors")
        check_probability(resample_probability, "resample_probability")

        def change(domain: Domain, value: Any) -> Any:
            value = domain.clip(value)  # a wrong value is an error, resampled or not
            if rng.random() < resample_probability:
                return domain.sample(rng)
            return domain.perturb(value, rng, factors)

        return self.map(change, hparams, rng)

    def clip(self, hparams: Mapping[str, Any], rng: random.Random | None = None) -> dict[str, Any]:
        """The hparams with every domain's value moved inside its bounds; constants filled in.

        Conditional places that do not exist are left out. `rng` draws those that are missing.
        """
        return self.map(lambda domain, value: domain.clip(value), hparams, rng)

    def map(
        self, change: Change, hparams: Mapping[str, Any], rng: random.Random | None = None
    ) -> dict[str, Any]:
        """New hparams with `change(domain, value)` for each domain; the input is not modified.

        Conditional places follow the changed values: `rng` draws what appears. Without it a
        conditional value that is missing is an error like any other.
        """
        result: dict[str, Any] = _a_dict(check_plain(hparams, "hparams"), "hparams", self.mapping)
        for entry in self.entries:
            place = at(result, entry.path[:-1])
            if entry.exists(result):
                place[entry.path[-1]] = _changed(entry, place, change, rng)
            elif isinstance(place, dict):
                place.pop(entry.path[-1], None)
        return result

    def contains(self, hparams: Any) -> bool:
        """Whether `sample` could give these: the same keys and constants, values in bounds."""
        keys: dict[tuple[str, ...], set[str]] = {(): set()}
        for entry in (entry for entry in self.entries if entry.exists(hparams)):
            keys[entry.path[:-1]].add(entry.path[-1])
            if entry.is_dict:
                keys[entry.path] = set()
            elif not _fits(entry.value, at(hparams, entry.path)):
                return False
        found = ((at(hparams, path), wanted) for path, wanted in keys.items())
        return all(isinstance(dict_, Mapping) and dict_.keys() == names for dict_, names in found)

    @property
    def is_conditional(self) -> bool:
        """Whether some place does not always exist."""
        return any(entry.conditions for entry in self.entries)

    def leaves(self) -> dict[str, Domain]:
        """The domains by dotted name, sorted."""
        return dict(sorted((entry.name, entry.value) for entry in self._domains()))

    def names(self) -> set[str]:
        """The dotted names of all places, whether they exist or not."""
        return {entry.name for entry in self.entries}

    def _domains(self) -> list[Entry]:
        return [entry for entry in self.entries if isinstance(entry.value, Domain)]

    def to_data(self) -> dict[str, Any]:
        """The space as plain JSON data."""
        return dict(to_data(self.mapping))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Space":
        """The space that `to_data` described; InvalidSetting where the data is not such."""
        return cls(from_data(data, "space"))


def _declare(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key in node:
        if not isinstance(key, str) or not key or key.startswith("$"):
            raise InvalidSetting(
                f"{where}: got the key {key!r}, but a key is a string without '$' in front"
            )
    return {key: _declare_value(value, f"{where}.{key}") for key, value in node.items()}


def _declare_value(value: Any, where: str) -> Any:
    if isinstance(value, Domain):
        return value
    if isinstance(value, When):
        return dataclasses.replace(value, then=_declare_value(value.then, where))
    return _declare(value, where) if isinstance(value, Mapping) else check_plain(value, where)


def _in_order(node: Mapping[str, Any], drawn: dict[str, Any]) -> dict[str, Any]:
    """The same, with its keys as they were declared."""
    found = {}
    for key in (key for key in node if key in drawn):
        below = node[key]
        while isinstance(below, When):
            below = below.then
        found[key] = _in_order(below, drawn[key]) if isinstance(below, Mapping) else drawn[key]
    return found


def _given(entry: Entry) -> Any:
    return {} if entry.is_dict else check_plain(entry.value, entry.name)


def _a_dict(value: Any, where: str, node: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        raise InvalidSetting(f"{where}: got {value!r}, but it must be a dict with {sorted(node)}")
    return value


def _changed(entry: Entry, place: dict[str, Any], change: Change, rng: random.Random | None) -> Any:
    """The new value of a place that exists."""
    name, value = f"hparams.{entry.name}", place.get(entry.path[-1], MISSING)
    if entry.is_dict:
        return _a_dict({} if value is MISSING else value, name, entry.value)
    if not isinstance(entry.value, Domain):
        return _given(entry) if value is MISSING else value
    if value is MISSING and entry.conditions and rng is not None:
        return entry.value.sample(rng)
    if value is MISSING:
        raise InvalidSetting(f"{name}: missing in {sorted(place)}; give a value of {entry.value!r}")
    try:
        return change(entry.value, value)
    except InvalidSetting as error:
        raise InvalidSetting(f"{name}: {error.message}") from error


def _fits(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Domain):
        return value is not MISSING and wanted.contains(value)
    return value is not MISSING and bool(as_json(wanted) == as_json(value))
