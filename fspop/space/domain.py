"""What a domain is: the values one hparam may take."""

import dataclasses
import random
from abc import ABC, abstractmethod
from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import check_plain, is_number

Factors = tuple[float, float]
FACTORS: Factors = (0.8, 1.2)
TAG = "$domain"  # keys of a space never begin with "$", so data is never mistaken for a domain


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
        """The nearest value inside; InvalidSetting where none is (NaN, a wrong type, no option)."""

    def to_data(self) -> dict[str, Any]:
        """The domain as plain data, which `Space.from_data` reads."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {TAG: type(self).__name__, **check_plain(fields, type(self).__name__)}

    def _need(self, ok: bool, advice: str) -> None:
        if not ok:
            raise InvalidSetting(f"{self!r}: {advice}")


class Bounded(Domain):
    """A domain of numbers from `low` to `high`."""

    low: float
    high: float

    def _check_bounds(self) -> None:
        for field, value in (("low", self.low), ("high", self.high)):
            self._need(is_number(value), f"{field}: got {value!r}, but it must be a finite number")
        ordered = self.low < self.high
        self._need(ordered, "low must be below high; swap them, or write a constant instead")

    def _check_number(self, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        self._need(number and value == value, f"got {value!r}, but it must be a number")
        return value  # type: ignore[no-any-return]
