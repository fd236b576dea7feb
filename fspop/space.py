"""Search spaces: domains that are sampled and perturbed within their bounds, and nested dicts of them.

Random numbers come from the `random.Random` that is handed in and from nowhere else, so a seeded
stream always gives the same hparams. Domains never depend on each other here.
"""

import dataclasses
import json
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from fspop.errors import InvalidSetting
from fspop.records import check_plain

Factors = tuple[float, float]
FACTORS: Factors = (0.8, 1.2)
RESAMPLE_PROBABILITY = 0.25
_TAG = "$domain"


class Domain(ABC):
    """The values one hparam may take. Every method returns plain data inside the domain."""

    @abstractmethod
    def sample(self, rng: random.Random) -> Any:
        """A fresh value."""

    @abstractmethod
    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> Any:
        """A value near `value`, which is clipped first; `factors` only matter to numbers."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether `value` is exactly one of this domain's values, of the right type."""

    @abstractmethod
    def clip(self, value: Any) -> Any:
        """The nearest value inside; InvalidSetting where nothing is near (NaN, a wrong type, no option)."""

    def to_data(self) -> dict[str, Any]:
        """The domain as plain data, which `Space.from_data` reads."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {_TAG: type(self).__name__, **check_plain(fields, type(self).__name__)}

    def _need(self, ok: bool, advice: str) -> None:
        if not ok:
            raise InvalidSetting(f"{self!r}: {advice}")


@dataclasses.dataclass(frozen=True)
class Uniform(Domain):
    """Any float from `low` to `high`.

    Perturbing multiplies by one of the factors and clips to the bounds. Multiplying never leaves 0
    and never changes a sign; where the domain holds 0, only resampling does, so keep a
    resample probability above 0.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        self._need(math.isfinite(self.high - self.low), "high - low overflows; narrow the bounds")

    def sample(self, rng: random.Random) -> float:
        """A uniform draw."""
        return self._inside(rng.uniform(self.low, self.high))

    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> float:
        """`value` times one of `factors`, clipped."""
        return self._inside(self.clip(value) * rng.choice(factors))

    def contains(self, value: Any) -> bool:
        """Whether `value` is a number within the bounds."""
        return _is_number(value) and self.low <= value <= self.high

    def clip(self, value: Any) -> float:
        """The nearest bound for a number outside."""
        return self._inside(_check_value(self, value))

    def _inside(self, value: float) -> float:
        return float(min(max(value, self.low), self.high))


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """Any float from `low` to `high`, both above 0, uniform in its logarithm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need(self.low > 0, "a logarithmic scale needs low above 0")

    def sample(self, rng: random.Random) -> float:
        """A draw uniform in the logarithm."""
        return self._inside(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))


class _Grid(Domain):
    """Evenly spaced numbers `low + k * step`; perturbing always arrives at another one.

    A product that rounds back to `value` moves one place in the factor's direction, or the other way
    at a bound. So 0 is left here, unlike in a Uniform.
    """

    low: float
    high: float
    log: bool

    @property
    def _spacing(self) -> float:
        raise TypeError(f"{type(self).__name__} has no spacing")

    def _check(self) -> None:
        _check_bounds(self)
        self._need(isinstance(self.log, bool), f"log: got {self.log!r}, but it must be True or False")
        self._need(not self.log or self.low > 0, "a logarithmic scale needs low above 0")

    @property
    def _last(self) -> int:
        return int((_exact(self.high) - _exact(self.low)) // _exact(self._spacing))

    def _at(self, place: int) -> float:
        # Exact decimals: 0.1 + 2 * 0.1 is 0.3 and never lies above `high`.
        value = _exact(self.low) + place * _exact(self._spacing)
        return int(value) if isinstance(self.low, int) and isinstance(self._spacing, int) else float(value)

    def _nearest(self, value: float) -> int:
        value = min(max(value, self.low), self.high)
        return min(round((_exact(value) - _exact(self.low)) / _exact(self._spacing)), self._last)

    def sample(self, rng: random.Random) -> float:
        """A draw uniform over the values, or with `log` over the logarithm."""
        if not self.log:
            return self._at(rng.randint(0, self._last))
        end = self._at(self._last) + self._spacing
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(end)))
        place = (_exact(drawn) - _exact(self.low)) // _exact(self._spacing)
        return self._at(min(max(int(place), 0), self._last))

    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> float:
        """The value nearest to the product, at least one place away where there is another."""
        value, factor = self.clip(value), rng.choice(factors)
        here, there = self._nearest(value), self._nearest(value * factor)
        if there == here:
            there += 1 if (factor > 1) == (value >= 0) else -1
        if not 0 <= there <= self._last:
            there = 2 * here - there
        return self._at(there)

    def contains(self, value: Any) -> bool:
        """Whether `value` is on the grid (floats: up to rounding) and of the grid's number type."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return False
        nearest = self._at(self._nearest(value))
        if isinstance(nearest, int):
            return isinstance(value, int) and value == nearest
        return abs(value - nearest) <= 1e-9 * self._spacing

    def clip(self, value: Any) -> float:
        """The nearest value of the grid."""
        return self._at(self._nearest(_check_value(self, value)))


@dataclasses.dataclass(frozen=True)
class Integer(_Grid):
    """Whole numbers from `low` to `high`, both included; `log` samples uniformly in the logarithm."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        self._check()
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        self._need(whole, "low and high must be whole numbers; Uniform takes fractions")
        check_plain([self.low, self.high], "Integer")

    @property
    def _spacing(self) -> int:
        return 1


@dataclasses.dataclass(frozen=True)
class Quantized(_Grid):
    """The numbers low, low + step, low + 2 * step, … up to `high`; whole where low and step are whole.

    A `high` that is not on the grid is only a bound.
    """

    low: float
    high: float
    step: float
    log: bool = False

    def __post_init__(self) -> None:
        self._check()
        good = _is_number(self.step) and 0 < _exact(self.step) <= _exact(self.high) - _exact(self.low)
        self._need(good, f"step: got {self.step!r}, but it must be above 0 and at most high - low")

    @property
    def _spacing(self) -> float:
        return self.step


class _Options(Domain):
    """One of `options`; told apart as JSON, so 1, 1.0, True and "1" are four options."""

    options: Sequence[Any]

    def _check(self) -> None:
        listed = isinstance(self.options, Sequence) and not isinstance(self.options, str | bytes)
        self._need(listed, f"options: got {self.options!r}, but it must be a list")
        options = tuple(check_plain(list(self.options), f"{type(self).__name__}.options"))
        object.__setattr__(self, "options", options)
        self._need(bool(options), "options: got an empty list, but at least one is needed")
        names = [_as_json(option) for option in options]
        twice = sorted({name for name in names if names.count(name) > 1})
        self._need(not twice, f"options: got {', '.join(twice)} more than once; give each once")

    def _place(self, value: Any) -> int | None:
        name = _as_json(value)
        return next((i for i, option in enumerate(self.options) if _as_json(option) == name), None)

    def _copy(self, place: int) -> Any:
        return check_plain(self.options[place], "option")

    def sample(self, rng: random.Random) -> Any:
        """Each option with the same probability."""
        return self._copy(rng.randrange(len(self.options)))

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of the options."""
        return self._place(value) is not None

    def clip(self, value: Any) -> Any:
        """`value` itself; InvalidSetting where it is no option, since none is nearer than another."""
        return self._copy(self._checked_place(value))

    def _checked_place(self, value: Any) -> int:
        place = self._place(value)
        if place is None:
            raise InvalidSetting(f"{self!r}: got {value!r}, which is none of the options; use one of them")
        return place


@dataclasses.dataclass(frozen=True)
class Choice(_Options):
    """One of `options` (plain data) in no order; perturbing draws another one."""

    options: Sequence[Any]

    def __post_init__(self) -> None:
        self._check()

    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> Any:
        """One of the other options, `value` itself where it is the only one."""
        here = self._checked_place(value)
        others = [place for place in range(len(self.options)) if place != here]
        return self._copy(rng.choice(others) if others else here)


@dataclasses.dataclass(frozen=True)
class Ordinal(_Options):
    """One of `options` (plain data), given in their order; perturbing moves to a neighbour."""

    options: Sequence[Any]

    def __post_init__(self) -> None:
        self._check()

    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> Any:
        """The option before or after; at an end its only neighbour."""
        here = self._checked_place(value)
        near = [place for place in (here - 1, here + 1) if 0 <= place < len(self.options)]
        return self._copy(rng.choice(near) if near else here)


@dataclasses.dataclass(frozen=True)
class Boolean(Domain):
    """False or True; perturbing gives the other one."""

    def sample(self, rng: random.Random) -> bool:
        """Either with probability 1/2."""
        return rng.random() < 0.5

    def perturb(self, value: Any, rng: random.Random, factors: Factors = FACTORS) -> bool:
        """The other one."""
        return not self.clip(value)

    def contains(self, value: Any) -> bool:
        """Whether `value` is a bool; 0 and 1 are not."""
        return isinstance(value, bool)

    def clip(self, value: Any) -> bool:
        """`value` itself; InvalidSetting where it is no bool."""
        self._need(isinstance(value, bool), f"got {value!r}, but it must be True or False")
        return bool(value)


DOMAINS: dict[str, type[Domain]] = {
    cls.__name__: cls for cls in (Uniform, LogUniform, Integer, Quantized, Choice, Ordinal, Boolean)
}


@dataclasses.dataclass(frozen=True)
class Space:
    """A nested dict of domains and constants; hparams drawn from it are dicts of the same shape.

    Constants are plain data and kept as they are. Keys are strings that do not begin with "$".
    Leaves draw their random numbers in the sorted order of their keys, however they were declared.
    Hparams may hold keys the space does not know: they are kept as they are. A domain's key that is
    missing, or a plain value where the space has a dict, raises InvalidSetting with the dotted name.
    """

    mapping: Mapping[str, Any]
    _READ: ClassVar[str] = "use a dict such as {'learning_rate': LogUniform(1e-4, 1e-1)}"

    def __post_init__(self) -> None:
        if not isinstance(self.mapping, Mapping):
            raise InvalidSetting(f"Space: got {self.mapping!r}; {self._READ}")
        object.__setattr__(self, "mapping", _declare(self.mapping, "Space"))
        names = [name for name, _ in _leaves(self.mapping)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidSetting(f"Space: {twice[0]!r} names two domains; rename one of the keys")
        if not names:
            raise InvalidSetting(f"Space: got {self.mapping!r}, which holds no domain; {self._READ}")

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Fresh hparams, constants included."""
        return _sample(self.mapping, rng)

    def perturb(
        self,
        hparams: Mapping[str, Any],
        rng: random.Random,
        factors: Factors = FACTORS,
        resample_probability: float = RESAMPLE_PROBABILITY,
    ) -> dict[str, Any]:
        """New hparams: each domain resampled with the probability, else perturbed; the rest kept."""
        check_factors(factors, "factors")
        check_probability(resample_probability, "resample_probability")

        def change(domain: Domain, value: Any) -> Any:
            if rng.random() < resample_probability:
                return domain.sample(rng)
            return domain.perturb(value, rng, factors)

        return self.map(change, hparams)

    def clip(self, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """The hparams with every domain's value moved inside its bounds; constants filled in."""
        return self.map(lambda domain, value: domain.clip(value), hparams)

    def map(self, change: Callable[[Domain, Any], Any], hparams: Mapping[str, Any]) -> dict[str, Any]:
        """New hparams with `change(domain, value)` for each domain; the input is not modified."""
        return _map(self.mapping, check_plain(hparams, "hparams"), change, "hparams")

    def contains(self, hparams: Any) -> bool:
        """Whether `sample` could give these: no key more or less, constants equal, values in bounds."""
        return _contains(self.mapping, hparams)

    def leaves(self) -> dict[str, Domain]:
        """The domains by dotted name, sorted."""
        return dict(sorted(_leaves(self.mapping)))

    def to_data(self) -> dict[str, Any]:
        """The space as plain JSON data."""
        return _to_data(self.mapping)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Space":
        """The space that `to_data` described; InvalidSetting where the data is not such."""
        return cls(_from_data(data, "space"))


# ---- walking a space: a node is a nested dict, a leaf a domain or a constant ---------------------


def _declare(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key in node:
        if not isinstance(key, str) or not key or key.startswith("$"):
            raise InvalidSetting(f"{where}: got the key {key!r}; keys are strings not beginning with '$'")
    return {key: _declare_value(value, f"{where}.{key}") for key, value in node.items()}


def _declare_value(value: Any, where: str) -> Any:
    if isinstance(value, Domain):
        return value
    return _declare(value, where) if isinstance(value, Mapping) else check_plain(value, where)


def _leaves(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Domain]]:
    found: list[tuple[str, Domain]] = []
    for key in sorted(node):
        if isinstance(node[key], Domain):
            found.append((prefix + key, node[key]))
        elif isinstance(node[key], Mapping):
            found += _leaves(node[key], f"{prefix}{key}.")
    return found


def _sample(node: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    drawn = {}
    for key in sorted(node):
        value = node[key]
        if isinstance(value, Domain):
            drawn[key] = value.sample(rng)
        else:
            drawn[key] = _sample(value, rng) if isinstance(value, Mapping) else check_plain(value, key)
    return {key: drawn[key] for key in node}


def _map(
    node: Mapping[str, Any], hparams: Any, change: Callable[[Domain, Any], Any], where: str
) -> dict[str, Any]:
    if not isinstance(hparams, dict):
        raise InvalidSetting(f"{where}: got {hparams!r}, but the space has a dict with {sorted(node)} here")
    result = dict(hparams)
    for key in sorted(node):
        value, name = node[key], f"{where}.{key}"
        if isinstance(value, Domain):
            result[key] = _change(value, hparams, key, change, name)
        elif isinstance(value, Mapping):
            result[key] = _map(value, hparams.get(key, {}), change, name)
        else:
            result.setdefault(key, check_plain(value, name))
    return result


def _change(
    domain: Domain, hparams: dict[str, Any], key: str, change: Callable[[Domain, Any], Any], name: str
) -> Any:
    if key not in hparams:
        raise InvalidSetting(f"{name}: missing (got {sorted(hparams)}); give a value within {domain!r}")
    try:
        return change(domain, hparams[key])
    except InvalidSetting as error:
        raise InvalidSetting(f"{name}: {error.message}") from error


def _contains(node: Any, value: Any) -> bool:
    if isinstance(node, Domain):
        return node.contains(value)
    if isinstance(node, Mapping):
        same_keys = isinstance(value, Mapping) and node.keys() == value.keys()
        return same_keys and all(_contains(node[key], value[key]) for key in node)
    return bool(_as_json(node) == _as_json(value))


def _to_data(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value_to_data(value) for key, value in node.items()}


def _value_to_data(value: Any) -> Any:
    if isinstance(value, Domain):
        return value.to_data()
    return _to_data(value) if isinstance(value, Mapping) else check_plain(value, "constant")


def _from_data(data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        return data
    if _TAG not in data:
        return {key: _from_data(value, f"{where}.{key}") for key, value in data.items()}
    fields = {key: value for key, value in data.items() if key != _TAG}
    try:
        return DOMAINS[data[_TAG]](**fields)
    except (KeyError, TypeError) as error:
        known = ", ".join(DOMAINS)
        raise InvalidSetting(
            f"{where}: got {dict(data)!r}, which is no domain ({error}); known are {known}"
        ) from error


# ---- checks --------------------------------------------------------------------------------------


def check_factors(factors: Any, where: str) -> None:
    """Raises InvalidSetting unless `factors` are two finite numbers above 0."""
    pair = isinstance(factors, tuple | list) and len(factors) == 2
    if not pair or not all(_is_number(factor) and factor > 0 for factor in factors):
        raise InvalidSetting(f"{where}: got {factors!r}, but it must be two numbers above 0, like (0.8, 1.2)")


def check_probability(value: Any, where: str) -> None:
    """Raises InvalidSetting unless `value` is a number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise InvalidSetting(f"{where}: got {value!r}, but a probability is a number from 0 to 1")


_Bounded = TypeVar("_Bounded", Uniform, _Grid)


def _check_bounds(domain: _Bounded) -> None:
    for field, value in (("low", domain.low), ("high", domain.high)):
        domain._need(_is_number(value), f"{field}: got {value!r}, but it must be a finite number")
    domain._need(domain.low < domain.high, "low must be below high; swap them, or write a constant instead")


def _check_value(domain: Domain, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InvalidSetting(f"{domain!r}: got {value!r}, but it must be a number")
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _exact(value: float) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(repr(float(value)))


def _as_json(value: Any) -> str | None:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return None
