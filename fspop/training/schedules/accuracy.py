"""Schedules driven by the validation accuracy they observe."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from fspop.errors import UsageError
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.checks import check_number
from fspop.training.schedules.triangular import Triangular


@dataclass
class AccuracyWatch:
    """The best accuracy so far, whether the latest is worse, and how often one was."""

    best: float | None = None
    worse: bool = False
    times_worse: int = 0

    def see(self, owner: str, accuracy: float | None, thresh: float) -> None:
        """Worse means below best · (1 - thresh); what is not finite is no measurement, ignored."""
        if accuracy is None:
            raise UsageError(
                f"{owner}.observe: got accuracy=None; give it an accuracy, or use another schedule"
            )
        accuracy = float(accuracy)
        if not math.isfinite(accuracy):
            return
        check_number(owner, "observe(accuracy)", accuracy, least=0)
        self.worse = self.best is not None and accuracy < self.best * (1 - thresh)
        self.times_worse += int(self.worse)
        self.best = max(accuracy, self.best or 0.0)


@dataclass(eq=False)
class Watching(Schedule):
    """What both have in common: two settings and the watch."""

    acc_thresh: float = field(default=0.05, kw_only=True)
    lr_decay: float = field(default=0.9, kw_only=True)
    watch: AccuracyWatch = field(init=False, repr=False, default_factory=AccuracyWatch)

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        super().check()
        self._number("acc_thresh", least=0, below=1)
        self._number("lr_decay", above=0, most=1)

    def observe(self, accuracy: float | None = None, loss: float | None = None) -> None:
        """Takes an accuracy of at least 0."""
        self.watch.see(self.name, accuracy, self.acc_thresh)

    def memory(self) -> dict[str, Any]:
        """The watch."""
        return asdict(self.watch)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes the watch over."""
        self.watch = AccuracyWatch(**memory)


@dataclass(eq=False)
class DecayWhenAcc(Watching):
    """initial · lr_decay^n, n = how many accuracies fell below best · (1 - acc_thresh)."""

    PEAK: ClassVar[str] = "initial"

    initial: float = 0.01

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        super().check()
        self._number("initial", above=0)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        return float(self.initial * self.lr_decay**self.watch.times_worse)


@dataclass(eq=False)
class TriangularDecayWhenAcc(Watching, Triangular):
    """Triangular, times lr_decay while the latest accuracy is below best · (1 - acc_thresh)."""

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        factor = self.lr_decay if self.watch.worse else 1.0
        return super().curve(iteration, epoch) * factor
