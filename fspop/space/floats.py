"""Domains of floats."""

import dataclasses
import math
import random
from typing import Any

from fspop.records import is_number
from fspop.space.domain import FACTORS, Bounded, Factors


@dataclasses.dataclass(frozen=True)
class Uniform(Bounded):
    """Any float from `low` to `high`.

    Perturbing multiplies by one of the factors and clips to the bounds. Multiplying never leaves 0
    and never changes a sign; where the domain holds 0, only resampling does, so keep a
    resample probability above 0.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        self._check_bounds()
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
        return is_number(value) and self.low <= value <= self.high

    def clip(self, value: Any) -> float:
        """The nearest bound for a number outside."""
        return self._inside(self._check_number(value))

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
