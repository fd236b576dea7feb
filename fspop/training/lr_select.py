"""Picks a range of learning rates from what a sweep saw."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from fspop.errors import InvalidSetting, UsageError

METHODS = ("max_acc", "min_loss", "max_range", "min_range", "laplace", "sobel")
NEEDS_ACCURACY = ("max_acc", "min_range", "laplace", "sobel")
STRONG = 0.5
"""Which part of the strongest edge's response counts as an edge, too."""


class LRRange(NamedTuple):
    """Learning rates worth using: 0 < lr_min < lr_max."""

    lr_min: float
    lr_max: float


@dataclass
class Sweep:
    """What was seen at each learning rate, ascending; `accuracies` is empty without a test."""

    learning_rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smooth_losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Selection:
    """How a range is picked.

    First a learning rate `top`: max_acc where the accuracy is highest; min_loss where the smooth
    loss is lowest; max_range the last one, so the widest range; min_range the smaller of max_acc's
    and min_loss's. Ties go to the lowest. Then lr_max = top · lr_max_scale and
    lr_min = lr_max^lr_min_factor: the factor multiplies log10(lr_max), so 2 means lr_max².

    laplace and sobel look for edges in the accuracies, without the first and last `lr_trunc`: the
    size of their second or first difference, strong where at least half the largest; strong places
    side by side are one edge. The range goes from the first edge, where learning sets in, to the
    last one, where it breaks down; of a single one the end is lr_max, with lr_min as above.
    """

    method: str = "max_acc"
    lr_min_factor: float = 2.0
    lr_max_scale: float = 1.0
    lr_trunc: int = 10

    def pick(self, sweep: Sweep) -> LRRange:
        """The range; InvalidSetting where it would not be one, UsageError for too short a sweep."""
        if not sweep.learning_rates:
            raise UsageError("LRFinder has no sweep to select from; call find() first")
        if self.method in NEEDS_ACCURACY and not sweep.accuracies:
            raise UsageError(f"LRFinder: {self.method} needs accuracies; sweep with acc_test=True")
        if self.method in ("laplace", "sobel"):
            return self._between_edges(sweep)
        top = _TOPS[self.method](sweep)
        if 0 < top == len(sweep.learning_rates) - 1 and self.lr_max_scale == 1:
            self._check_room(sweep.learning_rates[top])
        return self._below(sweep.learning_rates[top] * self.lr_max_scale)

    def _check_room(self, last: float) -> None:
        """Says what is really wrong where the sweep ended too early for a range below its end."""
        if last**self.lr_min_factor >= last:
            raise InvalidSetting(
                f"LRFinder.lr_max: {self.method} picks {last:g}, the last rate of the sweep, and "
                f"lr_min would be {last:g} ** {self.lr_min_factor:g}, which is not below it; sweep "
                "to a higher lr_max if it still learned there, choose another method with "
                "range(method), or set lr_max_scale=0.1",
                field="lr_max",
                value=last,
            )

    def _below(self, lr_max: float) -> LRRange:
        lr_min = lr_max**self.lr_min_factor
        if not 0 < lr_min < lr_max:
            raise InvalidSetting(
                f"LRFinder.lr_min_factor: got {self.lr_min_factor:g}, which makes "
                f"lr_min={lr_min:g} of lr_max={lr_max:g} (lr_min = lr_max ** lr_min_factor), but "
                "lr_min must be below lr_max; take a factor above 1 for lr_max below 1, below 1 "
                "for lr_max above 1, and another lr_max_scale for lr_max=1",
                field="lr_min_factor",
                value=self.lr_min_factor,
            )
        return LRRange(lr_min, lr_max)

    def _between_edges(self, sweep: Sweep) -> LRRange:
        rates = sweep.learning_rates
        margin = max(self.lr_trunc, 1)
        places = range(margin, len(rates) - margin)
        if not places:
            raise UsageError(
                f"LRFinder: the sweep saw {len(rates)} learning rates and lr_trunc={self.lr_trunc} "
                "leaves none; lower lr_trunc or sweep over more batches"
            )
        edges = [abs(_EDGES[self.method](sweep.accuracies, i)) for i in places]
        if max(edges) == 0:
            raise UsageError(
                f"LRFinder: the accuracy never changed, so {self.method} finds no edge; "
                "sweep over more batches or select by min_loss"
            )
        strong = [i for i, edge in zip(places, edges, strict=True) if edge >= STRONG * max(edges)]
        lr_max = rates[strong[-1]] * self.lr_max_scale
        single = strong[-1] - strong[0] == len(strong) - 1
        if single or rates[strong[0]] >= lr_max:
            return self._below(lr_max)
        return LRRange(rates[strong[0]], lr_max)


def _max_acc(sweep: Sweep) -> int:
    return sweep.accuracies.index(max(sweep.accuracies))


def _min_loss(sweep: Sweep) -> int:
    return sweep.smooth_losses.index(min(sweep.smooth_losses))


_TOPS: dict[str, Callable[[Sweep], int]] = {
    "max_acc": _max_acc,
    "min_loss": _min_loss,
    "max_range": lambda sweep: len(sweep.learning_rates) - 1,
    "min_range": lambda sweep: min(_max_acc(sweep), _min_loss(sweep)),
}
_EDGES: dict[str, Callable[[list[float], int], float]] = {
    "laplace": lambda values, i: values[i - 1] - 2 * values[i] + values[i + 1],
    "sobel": lambda values, i: values[i + 1] - values[i - 1],
}
