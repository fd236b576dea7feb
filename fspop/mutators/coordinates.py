"""Hparams as coordinates: numbers from 0 to 1, and categories as the index of an option."""

import math
from collections.abc import Sequence
from typing import Any

from fspop.space import Boolean, Choice, Domain, LogUniform, Ordinal, Space
from fspop.space.domain import Bounded

BOOLEANS = (False, True)


def coordinates(space: Space, hparams: Any) -> list[float]:
    """One number for each domain, in the order in which the space walks them."""
    found: list[float] = []

    def look(domain: Domain, value: Any) -> Any:
        value = domain.clip(value)
        options = options_of(domain)
        found.append(_index(options, value) if options else _to_unit(domain, value))
        return value

    space.map(look, hparams)
    return found


def with_coordinates(space: Space, hparams: Any, found: Sequence[float]) -> Any:
    """The hparams with these coordinates, moved to the nearest value of each domain."""
    rest = iter(found)

    def place(domain: Domain, value: Any) -> Any:
        at, options = next(rest), options_of(domain)
        return domain.clip(options[round(at)] if options else _from_unit(domain, at))

    return space.map(place, hparams)


def domains_of(space: Space, hparams: Any) -> list[Domain]:
    """The domains in the order of their coordinates."""
    found: list[Domain] = []

    def look(domain: Domain, value: Any) -> Any:
        found.append(domain)
        return value

    space.map(look, hparams)
    return found


def options_of(domain: Domain) -> Sequence[Any]:
    """The values of a domain without order; none for one whose values have an order."""
    if isinstance(domain, Boolean):
        return BOOLEANS
    return domain.options if isinstance(domain, Choice) else ()


def _index(options: Sequence[Any], value: Any) -> int:
    return next(i for i, o in enumerate(options) if type(o) is type(value) and o == value)


def _bounds(domain: Domain) -> tuple[float, float, bool]:
    """(low, high, whether on a logarithmic scale)."""
    if isinstance(domain, Ordinal):
        return 0.0, float(len(domain.options) - 1), False
    assert isinstance(domain, Bounded)
    logarithmic = isinstance(domain, LogUniform) or bool(getattr(domain, "log", False))
    if logarithmic:
        return math.log(domain.low), math.log(domain.high), True
    return float(domain.low), float(domain.high), False


def _to_unit(domain: Domain, value: Any) -> float:
    low, high, logarithmic = _bounds(domain)
    number = _index(domain.options, value) if isinstance(domain, Ordinal) else value
    return (math.log(number) - low if logarithmic else number - low) / ((high - low) or 1.0)


def _from_unit(domain: Domain, at: float) -> Any:
    low, high, logarithmic = _bounds(domain)
    number = low + min(max(at, 0.0), 1.0) * (high - low)
    if isinstance(domain, Ordinal):
        return domain.options[round(number)]
    return math.exp(number) if logarithmic else number
