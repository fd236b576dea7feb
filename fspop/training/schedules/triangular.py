"""Cyclic schedules: up to the peak in `stepsize` iterations, down in as many, again and again.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017. In all of them, with
s = stepsize, j = i - start_iter and R = lr_max - lr_min: the cycle is c = ⌊1 + j/(2s)⌋ and the
wave tri(j) = max(0, 1 - |j/s - 2c + 1|), which is 0 for j < 1.
"""

import math
from dataclasses import dataclass

from fspop.training.schedules.base import Schedule


@dataclass(eq=False)
class Triangular(Schedule):
    """lr_min + R · tri(j); lr_min for j < 1."""

    lr_min: float = 1e-4
    lr_max: float = 1.0
    stepsize: int = 1000
    start_iter: int = 0

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("lr_max", above=0)
        self._number("lr_min", least=0, most=self.lr_max)
        self._whole("stepsize", 1)
        self._whole("start_iter", 0)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        return self.lr_min + (self.lr_max - self.lr_min) * self.tri(iteration)

    def begun(self, iteration: int) -> bool:
        """Whether j ≥ 1."""
        return iteration - self.start_iter >= 1

    def cycle(self, iteration: int) -> int:
        """c, from 1."""
        return 1 + (iteration - self.start_iter) // (2 * self.stepsize)

    def tri(self, iteration: int) -> float:
        """The wave, between 0 and 1."""
        if not self.begun(iteration):
            return 0.0
        j = iteration - self.start_iter
        return max(0.0, 1 - abs(j / self.stepsize - 2 * self.cycle(iteration) + 1))


@dataclass(eq=False)
class InvTriangular(Triangular):
    """lr_max - R · tri(j); lr_max for j < 1. Momentum to go with a Triangular learning rate."""

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        return self.lr_max - (self.lr_max - self.lr_min) * self.tri(iteration)


@dataclass(eq=False)
class Triangular2(Triangular):
    """lr_min + R · tri(j) / 2^(c-1): the peak over lr_min halves each cycle; lr_min for j < 1."""

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        height = (self.lr_max - self.lr_min) * self.tri(iteration)
        return self.lr_min + math.ldexp(height, 1 - self.cycle(iteration))


@dataclass(eq=False)
class TriangularExp(Triangular):
    """(lr_min + R · tri(j)) · e^(-k·i), so its troughs fall below lr_min; lr_min for j < 1."""

    k: float = 1e-4

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        super().check()
        self._number("k", least=0)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        fade = math.exp(-self.k * iteration) if self.begun(iteration) else 1.0
        return super().curve(iteration, epoch) * fade


@dataclass(eq=False)
class Triangular2Exp(Triangular2):
    """(lr_min + R · tri(j) / 2^(c-1)) · e^(-k·i); lr_min for j < 1."""

    k: float = 1e-4

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        super().check()
        self._number("k", least=0)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        fade = math.exp(-self.k * iteration) if self.begun(iteration) else 1.0
        return super().curve(iteration, epoch) * fade
