"""Half cosines: falling again and again, or up once and down once."""

import math
from dataclasses import dataclass

from fspop.training.schedules.base import Schedule


@dataclass(eq=False)
class WarmRestart(Schedule):
    """lr_min + ½ (lr_max - lr_min) (1 + cos(π·t/T)) with T = 2·stepsize and t = i mod T.

    Falls from lr_max towards lr_min and really restarts at lr_max every T iterations.
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.
    """

    lr_min: float = 1e-4
    lr_max: float = 1.0
    stepsize: int = 1000

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("lr_max", above=0)
        self._number("lr_min", least=0, most=self.lr_max)
        self._whole("stepsize", 1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        period = 2 * self.stepsize
        return _fall(self.lr_max, self.lr_min, iteration % period / period)


@dataclass(eq=False)
class CosineOneCycle(Schedule):
    """Half a cosine from lr_min up to lr_max, a longer one down to lr_min, where it stays.

    With n = num_iters, w = warmup·n and R = lr_max - lr_min: up to w it is
    lr_max - ½ R (1 + cos(π·i/w)), then lr_min + ½ R (1 + cos(π·min(1, (i-w)/(n-w)))).
    Smith and Topin, "Super-Convergence", 2018.
    """

    lr_min: float = 1e-4
    lr_max: float = 1.0
    num_iters: int = 100_000
    warmup: float = 0.3

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work; warmup is a fraction, 0 for none."""
        self._number("lr_max", above=0)
        self._number("lr_min", least=0, most=self.lr_max)
        self._whole("num_iters", 1)
        self._number("warmup", least=0, below=1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        rise = self.warmup * self.num_iters
        if iteration < rise:
            return _fall(self.lr_max, self.lr_min, 1 - iteration / rise)
        return _fall(
            self.lr_max, self.lr_min, min(1.0, (iteration - rise) / (self.num_iters - rise))
        )


def _fall(high: float, low: float, fraction: float) -> float:
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * fraction))
