"""The peak of a torch scheduler as a hyperparameter: assigning it scales the scheduler's curve."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fspop.errors import HparamsNotApplied

_IN_GROUP = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")
_PER_GROUP = ("base_lrs", "max_lrs", "min_lrs", "_last_lr")
_SHARED = ("eta_min",)


class ScheduledRate:
    """The learning rate of one param group that schedulers drive: the peak of its curve.

    Setting it multiplies all that the curve is made of (base, bounds, the value of this moment), so
    that the curve goes on from here as if it had been made with the new peak. A scheduler's bound
    that all groups share moves with group 0.
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], index: int):
        self.group = optimizer.param_groups[index]
        self.schedulers, self.index = schedulers, index
        self.group.setdefault("initial_lr", _plain(self.group["lr"]))  # ReduceLROnPlateau has none

    def set(self, value: Any) -> None:
        """Scales the curve to this peak."""
        peak = self._peak()
        if peak == value:
            return
        ratio = value / peak if peak else math.nan
        if not math.isfinite(ratio):
            raise HparamsNotApplied(
                f"hyperparameter learning_rate={value!r}: a schedule whose peak is 0 cannot be "
                "scaled; make its optimizer with another learning rate",
                name="learning_rate",
            )
        for key in _IN_GROUP:
            if key in self.group:
                self.group[key] = _scaled(self.group[key], ratio)
        for scheduler in self.schedulers:
            _scale(scheduler, self.index, ratio)
        self._put_peak(value)  # free of rounding

    def get(self) -> Any:
        """The peak while the group follows its schedulers, else what it does instead."""
        last = [getattr(each, "_last_lr", None) for each in self._outer()]
        said = [_plain(rates[self.index]) for rates in last if rates]
        actual = _plain(self.group["lr"])
        follows = not said or any(math.isclose(actual, one, rel_tol=1e-6) for one in said)
        return self._peak() if follows else actual

    def _outer(self) -> list[LRScheduler]:
        inner = {id(part) for each in self.schedulers for part in getattr(each, "_schedulers", ())}
        return [each for each in self.schedulers if id(each) not in inner]

    def _peak(self) -> float:
        for scheduler in self.schedulers:
            if hasattr(scheduler, "max_lrs"):  # CyclicLR
                return float(_plain(scheduler.max_lrs[self.index]))
        key = "max_lr" if "max_lr" in self.group else "initial_lr"  # OneCycleLR has a max_lr
        return float(_plain(self.group[key]))

    def _put_peak(self, value: float) -> None:
        cyclic = [each for each in self.schedulers if hasattr(each, "max_lrs")]
        for scheduler in cyclic:
            scheduler.max_lrs[self.index] = value
        if not cyclic:
            self.group["max_lr" if "max_lr" in self.group else "initial_lr"] = value


def scheduled_rates(optimizer: Optimizer, schedulers: Iterable[Any]) -> list[ScheduledRate]:
    """One for each param group of `optimizer` that any of `schedulers` drives; [] for none."""
    mine = [
        each
        for each in flat(schedulers)
        if getattr(each.optimizer, "optimizer", each.optimizer) is optimizer
    ]
    if not mine:
        return []
    return [ScheduledRate(optimizer, mine, i) for i in range(len(optimizer.param_groups))]


def flat(schedulers: Iterable[Any]) -> Iterator[LRScheduler]:
    """Each torch scheduler, and those inside of SequentialLR and ChainedScheduler; unwrapped from
    accelerate's.
    """
    for each in schedulers:
        scheduler = getattr(each, "scheduler", each)
        if isinstance(scheduler, LRScheduler):
            yield scheduler
            yield from flat(getattr(scheduler, "_schedulers", ()))


def _scale(scheduler: LRScheduler, index: int, ratio: float) -> None:
    for name in _PER_GROUP:
        held = getattr(scheduler, name, None)
        if held is not None and index < len(held):
            changed = list(held)
            changed[index] = _scaled(held[index], ratio)
            setattr(scheduler, name, changed)
    for name in _SHARED:
        if index == 0 and hasattr(scheduler, name):
            setattr(scheduler, name, getattr(scheduler, name) * ratio)


def _scaled(value: Any, ratio: float) -> Any:
    # A compiled step holds on to the tensor, so it has to stay the same one.
    return value.mul_(ratio) if isinstance(value, torch.Tensor) else value * ratio


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
