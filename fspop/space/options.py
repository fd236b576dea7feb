"""Domains that list their values."""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import check_plain
from fspop.space.checks import as_json
from fspop.space.domain import FACTORS, Domain, Factors


class _Options(Domain):
    """One of `options`; told apart as JSON, so 1, 1.0, True and "1" are four options."""

    options: Sequence[Any]

    def _check(self) -> None:
        listed = isinstance(self.options, Sequence) and not isinstance(self.options, str | bytes)
        self._need(listed, f"options: got {self.options!r}, but it must be a list")
        options = tuple(check_plain(list(self.options), f"{type(self).__name__}.options"))
        object.__setattr__(self, "options", options)
        self._need(bool(options), "options: got an empty list, but at least one is needed")
        names = [as_json(option) for option in options]
        twice = sorted({name for name in names if names.count(name) > 1})
        self._need(not twice, f"options: got {', '.join(twice)} more than once; give each once")

    def _place(self, value: Any) -> int | None:
        name = as_json(value)
        return next((i for i, option in enumerate(self.options) if as_json(option) == name), None)

    def _copy(self, place: int) -> Any:
        return check_plain(self.options[place], "option")

    def sample(self, rng: random.Random) -> Any:
        """Each option with the same probability."""
        return self._copy(rng.randrange(len(self.options)))

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of the options."""
        return self._place(value) is not None

    def clip(self, value: Any) -> Any:
        """`value` itself; InvalidSetting where it is no option: none is nearer than another."""
        return self._copy(self._checked_place(value))

    def _checked_place(self, value: Any) -> int:
        place = self._place(value)
        if place is None:
            raise InvalidSetting(f"{self!r}: got {value!r}, but it must be one of the options")
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
