"""Falls smoothly: on a line, on a line of the logarithm, or exponentially for ever."""

import math
from dataclasses import dataclass

from fspop.training.schedules.base import Schedule


@dataclass(eq=False)
class LinearDecay(Schedule):
    """lr_max - (lr_max - lr_min) · min(i, n) / n with n = num_iters; then it stays at lr_min."""

    lr_min: float = 1e-4
    lr_max: float = 1.0
    num_iters: int = 100_000

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("lr_max", above=0)
        self._number("lr_min", least=0, most=self.lr_max)
        self._whole("num_iters", 1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        if iteration >= self.num_iters:
            return self.lr_min  # not a rounding beside it
        return self.lr_max - (self.lr_max - self.lr_min) * iteration / self.num_iters


@dataclass(eq=False)
class LogDecay(Schedule):
    """lr_max · (lr_min / lr_max)^(min(i, n) / n) with n = num_iter; then it stays at lr_min."""

    lr_min: float = 1e-4
    lr_max: float = 1.0
    num_iter: int = 50_000

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work; lr_min must be above 0 here."""
        self._number("lr_max", above=0)
        self._number("lr_min", above=0, most=self.lr_max)
        self._whole("num_iter", 1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        if iteration >= self.num_iter:
            return self.lr_min
        return float(self.lr_max * (self.lr_min / self.lr_max) ** (iteration / self.num_iter))


@dataclass(eq=False)
class ExponentialDecay(Schedule):
    """lr_max · e^(-k·i), without a floor."""

    lr_max: float = 1.0
    k: float = 1e-3

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("lr_max", above=0)
        self._number("k", least=0)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        return self.lr_max * math.exp(-self.k * iteration)
