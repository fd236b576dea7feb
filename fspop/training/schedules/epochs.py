"""Schedules that look at the epoch only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fspop.training.schedules.base import Schedule
from fspop.training.schedules.checks import check_number, refuse


@dataclass(eq=False)
class EpochSet(Schedule):
    """What a table says at its epochs, held in between.

    lr_value True: `values[k]` with the largest key k ≤ e. False: `values[0]`, the initial learning
    rate, times all factors `values[k]` with 0 < k ≤ e. Either way the place alone decides, so a
    resumed run multiplies nothing twice. The peak for `rebase` is the highest value with lr_value,
    the initial one without. ValueError where `values` is no dict, lacks key 0 or has one that is
    no integer.
    """

    values: Mapping[int, float] = field(default_factory=lambda: {0: 1.0})
    lr_value: bool = False

    def check(self) -> None:
        """Raises InvalidSetting, a ValueError, where the table cannot work."""
        if not isinstance(self.values, dict):
            raise refuse(self.name, "values", self.values, "a dict such as {0: 0.1, 30: 0.5}")
        if not isinstance(self.lr_value, bool):
            raise refuse(self.name, "lr_value", self.lr_value, "True or False")
        for key, value in self.values.items():
            if not isinstance(key, int) or isinstance(key, bool) or key < 0:
                raise refuse(self.name, "values", key, "keyed by whole epochs of at least 0")
            check_number(self.name, f"values[{key}]", value, least=0)
        if 0 not in self.values:
            raise refuse(self.name, "values", self.values, "a dict that has the key 0")
        if not self.peak > 0:
            raise refuse(self.name, "values", self.values, "a dict with a peak above 0")
        self.values = {key: float(value) for key, value in self.values.items()}

    @property
    def peak(self) -> float:
        """The highest value, or the initial one where the others are factors."""
        return max(self.values.values()) if self.lr_value else self.values[0]

    def curve(self, iteration: int, epoch: int) -> float:
        """The table as above."""
        past = [key for key in sorted(self.values) if key <= epoch]
        if self.lr_value:
            return self.values[past[-1]]
        return math.prod(self.values[key] for key in past)


@dataclass(eq=False)
class DecayWhenEpoch(Schedule):
    """initial · lr_decay^⌊e / num_epochs⌋."""

    PEAK: ClassVar[str] = "initial"

    initial: float = 0.01
    num_epochs: int = 8
    lr_decay: float = 0.9

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("initial", above=0)
        self._whole("num_epochs", 1)
        self._number("lr_decay", above=0, most=1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        return float(self.initial * self.lr_decay ** (epoch // self.num_epochs))


@dataclass(eq=False)
class DecayToEpoch(Schedule):
    """initial - (initial - final) · min(max(e - non_decay_time, 0), n) / n with n = decay_length.

    Holds `initial`, falls on a line over decay_length epochs, stays at `final`, never below.
    """

    PEAK: ClassVar[str] = "initial"

    initial: float = 3e-4
    final: float = 0.0
    non_decay_time: int = 0
    decay_length: int = 40

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("initial", above=0)
        self._number("final", least=0, most=self.initial)
        self._whole("non_decay_time", 0)
        self._whole("decay_length", 1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        decayed = max(epoch - self.non_decay_time, 0)
        if decayed >= self.decay_length:
            return self.final
        return self.initial - (self.initial - self.final) * decayed / self.decay_length
