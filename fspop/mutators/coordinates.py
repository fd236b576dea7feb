"""Hparams as coordinates: numbers from 0 to 1, and categories as the index of an option."""

import math
import random
from collections.abc import Sequence
from typing import Any

from fspop.records import check_plain
from fspop.space import Boolean, Choice, Domain, LogUniform, Ordinal, Space
from fspop.space.domain import Bounded
from fspop.space.entries import MISSING, Path, at

BOOLEANS = (False, True)


Coordinates = Sequence[float | None]
"""None where a conditional hparam does not exist."""


def coordinates(space: Space, hparams: Any) -> list[float | None]:
    """One number for each domain, in the order in which the space walks them."""
    inside = space.clip(hparams)
    found: list[float | None] = []
    for path, domain in _places(space):
        value, options = at(inside, path), options_of(domain)
        if value is MISSING:
            found.append(None)
        else:
            found.append(_index(options, value) if options else _to_unit(domain, value))
    return found


def with_coordinates(space: Space, hparams: Any, found: Coordinates, rng: random.Random) -> Any:
    """The hparams with these coordinates, moved to the nearest value of each domain.

    None keeps a value. What exists only by the new ones is drawn.
    """
    hparams = check_plain(hparams, "hparams")
    for (path, domain), number in zip(_places(space), found, strict=True):
        if number is not None:
            options = options_of(domain)
            value = options[round(number)] if options else _from_unit(domain, number)
            at(hparams, path[:-1])[path[-1]] = domain.clip(value)
    return space.clip(hparams, rng)


def domains_of(space: Space) -> list[Domain]:
    """The domains in the order of their coordinates."""
    return [domain for _, domain in _places(space)]


def _places(space: Space) -> list[tuple[Path, Domain]]:
    return [(e.path, e.value) for e in space.entries if isinstance(e.value, Domain)]


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
