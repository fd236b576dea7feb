"""A space: a nested dict of domains and constants."""

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fspop.errors import InvalidSetting
from fspop.records import check_plain
from fspop.space.checks import as_json, check_factors, check_probability
from fspop.space.domain import FACTORS, TAG, Domain, Factors
from fspop.space.floats import LogUniform, Uniform
from fspop.space.grid import Integer, Quantized
from fspop.space.options import Boolean, Choice, Ordinal

RESAMPLE_PROBABILITY = 0.25
Change = Callable[[Domain, Any], Any]
DOMAINS: dict[str, type[Domain]] = {
    cls.__name__: cls for cls in (Uniform, LogUniform, Integer, Quantized, Choice, Ordinal, Boolean)
}


@dataclasses.dataclass(frozen=True)
class Space:
    """A nested dict of domains and constants; hparams drawn from it are dicts of the same shape.

    Constants are plain data and kept as they are. Keys are strings that do not begin with "$".
    Leaves draw their random numbers in the sorted order of their keys, however they were declared.
    Hparams may hold keys the space does not know: they are kept as they are. A domain's key
    that is missing, or a plain value where the space has a dict, raises InvalidSetting.
    """

    mapping: Mapping[str, Any]
    _EXAMPLE: ClassVar[str] = "use a dict such as {'learning_rate': LogUniform(1e-4, 1e-1)}"

    def __post_init__(self) -> None:
        if not isinstance(self.mapping, Mapping):
            raise InvalidSetting(f"Space: got {self.mapping!r}; {self._EXAMPLE}")
        object.__setattr__(self, "mapping", _declare(self.mapping, "Space"))
        names = [name for name, _ in _leaves(self.mapping)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidSetting(f"Space: {twice[0]!r} names two domains; rename one of the keys")
        if not names:
            raise InvalidSetting(f"Space: got {self.mapping!r} without a domain; {self._EXAMPLE}")

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
        """New hparams: each domain's value resampled or else perturbed; everything else kept."""
        check_factors(factors, "factors")
        check_probability(resample_probability, "resample_probability")

        def change(domain: Domain, value: Any) -> Any:
            value = domain.clip(value)  # a wrong value is an error, resampled or not
            if rng.random() < resample_probability:
                return domain.sample(rng)
            return domain.perturb(value, rng, factors)

        return self.map(change, hparams)

    def clip(self, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """The hparams with every domain's value moved inside its bounds; constants filled in."""
        return self.map(lambda domain, value: domain.clip(value), hparams)

    def map(self, change: Change, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """New hparams with `change(domain, value)` for each domain; the input is not modified."""
        return _map(self.mapping, check_plain(hparams, "hparams"), change, "hparams")

    def contains(self, hparams: Any) -> bool:
        """Whether `sample` could give these: the same keys and constants, values in bounds."""
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
            raise InvalidSetting(
                f"{where}: got the key {key!r}, but a key is a string without '$' in front"
            )
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
            nested = isinstance(value, Mapping)
            drawn[key] = _sample(value, rng) if nested else check_plain(value, key)
    return {key: drawn[key] for key in node}


def _map(node: Mapping[str, Any], hparams: Any, change: Change, where: str) -> dict[str, Any]:
    if not isinstance(hparams, dict):
        raise InvalidSetting(f"{where}: got {hparams!r}, but it must be a dict with {sorted(node)}")
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


def _change(domain: Domain, hparams: dict[str, Any], key: str, change: Change, name: str) -> Any:
    if key not in hparams:
        raise InvalidSetting(f"{name}: missing in {sorted(hparams)}; give a value of {domain!r}")
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
    return bool(as_json(node) == as_json(value))


def _to_data(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value_to_data(value) for key, value in node.items()}


def _value_to_data(value: Any) -> Any:
    if isinstance(value, Domain):
        return value.to_data()
    return _to_data(value) if isinstance(value, Mapping) else check_plain(value, "constant")


def _from_data(data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        return data
    if TAG not in data:
        return {key: _from_data(value, f"{where}.{key}") for key, value in data.items()}
    fields = {key: value for key, value in data.items() if key != TAG}
    try:
        return DOMAINS[data[TAG]](**fields)
    except (KeyError, TypeError) as error:
        known = ", ".join(DOMAINS)
        raise InvalidSetting(
            f"{where}: got {dict(data)!r}, which is no domain ({error}); known are {known}"
        ) from error
