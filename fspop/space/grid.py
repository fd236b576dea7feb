"""Domains of evenly spaced numbers."""

import dataclasses
import math
import random
from fractions import Fraction
from typing import Any

from fspop.records import check_plain, is_number
from fspop.space.domain import FACTORS, Bounded, Factors


class _Grid(Bounded):
    """Evenly spaced numbers `low + k * step`; perturbing always arrives at another one.

    A product that rounds back to `value` moves one place in the factor's direction, or the other
    way at a bound. So 0 is left here, unlike in a Uniform.
    """

    log: bool

    @property
    def _spacing(self) -> float:
        raise TypeError(f"{type(self).__name__} has no spacing")

    def _check(self) -> None:
        self._check_bounds()
        check_plain([self.low, self.high], type(self).__name__)
        self._need(isinstance(self.log, bool), f"log: got {self.log!r}; use True or False")
        self._need(not self.log or self.low > 0, "a logarithmic scale needs low above 0")

    @property
    def _last(self) -> int:
        return int((_exact(self.high) - _exact(self.low)) // _exact(self._spacing))

    def _at(self, place: int) -> float:
        # Exact decimals: 0.1 + 2 * 0.1 is 0.3 and never lies above `high`.
        value = _exact(self.low) + place * _exact(self._spacing)
        whole = isinstance(self.low, int) and isinstance(self._spacing, int)
        return int(value) if whole else float(value)

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
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        nearest = self._at(self._nearest(value))
        if isinstance(nearest, int):
            return isinstance(value, int) and value == nearest
        return bool(abs(value - nearest) <= 1e-9 * self._spacing)

    def clip(self, value: Any) -> float:
        """The nearest value of the grid."""
        return self._at(self._nearest(self._check_number(value)))


@dataclasses.dataclass(frozen=True)
class Integer(_Grid):
    """Whole numbers from `low` to `high`, both included; `log` samples evenly in the logarithm."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        self._check()
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        self._need(whole, "low and high must be whole numbers; Uniform takes fractions")

    @property
    def _spacing(self) -> int:
        return 1


@dataclasses.dataclass(frozen=True)
class Quantized(_Grid):
    """The numbers low, low + step, low + 2 * step, … up to `high`.

    They are whole where low and step are. A `high` that is not on the grid is only a bound.
    """

    low: float
    high: float
    step: float
    log: bool = False

    def __post_init__(self) -> None:
        self._check()
        room = _exact(self.high) - _exact(self.low)
        good = is_number(self.step) and 0 < _exact(self.step) <= room
        self._need(good, f"step: got {self.step!r}, but it must be above 0 and at most high - low")

    @property
    def _spacing(self) -> float:
        return self.step


def _exact(value: float) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(repr(float(value)))
