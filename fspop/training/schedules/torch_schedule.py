"""Any scheduler of `torch.optim.lr_scheduler` as a Schedule."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from fspop.errors import InvalidSetting, UsageError
from fspop.training.plain_state import like, plain
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.checks import check_choice, refuse


@dataclass(eq=False)
class TorchSchedule(Schedule):
    """Follows the scheduler that `factory(optimizer)` returns.

    The scheduler drives a private one-parameter SGD with this `lr` and `momentum`; its value is
    read from there, so it never touches the real optimizer. `per` says whether it steps each
    iteration or each epoch, `reads` whether this is its lr or its momentum. ReduceLROnPlateau steps
    on `observe` instead: on the accuracy with mode="max", on the loss with mode="min".

    The peak that `rebase` moves is `highest`; without it the maximum that OneCycleLR or CyclicLR
    was made with, for any other scheduler the `lr` (or `momentum`). Once moved, a value above it
    raises InvalidSetting: the scheduler rises higher than its peak was said to be.

    Values follow from the place, so going back is allowed; it replays the scheduler from its start.
    """

    factory: Callable[[Optimizer], LRScheduler]
    lr: float = 0.1
    momentum: float = 0.9
    per: str = "iteration"
    reads: str = "lr"
    highest: float | None = None
    scheduler: LRScheduler = field(init=False, repr=False)
    position: int = field(init=False, repr=False, default=0)
    moved: bool = field(init=False, repr=False, default=False)

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work or the factory gives no scheduler."""
        self._number("lr", above=0)
        self._number("momentum", above=0, below=1)
        check_choice(self.name, "per", self.per, ("iteration", "epoch"))
        check_choice(self.name, "reads", self.reads, ("lr", "momentum"))
        if self.highest is not None:
            self._number("highest", above=0)
        self._rebuild()

    @property
    def peak(self) -> float:
        """As said above; of what is read."""
        tops = [self.highest, _highest_of(self.scheduler, self.reads), self._start]
        return float(next(top for top in tops if top is not None))

    @property
    def _start(self) -> float:
        return self.lr if self.reads == "lr" else self.momentum

    def rebase(self, peak: float) -> None:
        """Scales what the scheduler says, so that its peak is `peak`."""
        super().rebase(peak)
        self.moved = True

    def value(self, iteration: int, epoch: int = 0) -> float:
        """The value at this place; InvalidSetting where it is above a peak that was assigned."""
        value = super().value(iteration, epoch)
        if self.moved and value > self.base * (1 + 1e-6):
            raise InvalidSetting(
                f"{self.name}: its peak was set to {self.base:g}, but the scheduler says "
                f"{value:g} at iteration {iteration}, epoch {epoch}; give its true peak: "
                "TorchSchedule(…, highest=…)",
                field="highest",
            )
        return value

    def curve(self, iteration: int, epoch: int) -> float:
        """What the scheduler says at this place."""
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self._move_to(iteration if self.per == "iteration" else epoch)
        return float(self._group[self.reads])

    def observe(self, accuracy: float | None = None, loss: float | None = None) -> None:
        """Steps ReduceLROnPlateau; others do not care."""
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            return
        metric = "accuracy" if self.scheduler.mode == "max" else "loss"
        value = accuracy if metric == "accuracy" else loss
        if value is None:
            raise UsageError(
                f"TorchSchedule.observe: got {metric}=None, which ReduceLROnPlateau with "
                f"mode={self.scheduler.mode!r} steps on; give it, or change mode"
            )
        self.scheduler.step(value)

    def memory(self) -> dict[str, Any]:
        """Position and the state of scheduler and private optimizer."""
        group = {key: value for key, value in self._group.items() if key != "params"}
        state = self.scheduler.state_dict()
        memory = {"position": self.position, "scheduler": state, "group": group}
        memory |= {"moved": self.moved, "start": self._start}
        plained: dict[str, Any] = plain(copy.deepcopy(memory))  # MultiStepLR has a Counter
        return plained

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes over what `memory` gave, in a scheduler built anew."""
        memory = copy.deepcopy(dict(memory))
        setattr(self, self.reads, memory.get("start", self._start))  # all values follow from it
        self._rebuild()
        self.scheduler.load_state_dict(like(self.scheduler.state_dict(), memory["scheduler"]))
        self._group.update(memory["group"])
        self.position = memory["position"]
        if "moved" not in memory:  # written when `lr` was taken for the peak of any scheduler
            same = self.base == self._start
            self.base = self.peak if same else self.base * self.peak / self._start
        self.moved = memory.get("moved", self.base != self.peak)

    @property
    def _group(self) -> dict[str, Any]:
        return self.scheduler.optimizer.param_groups[0]

    def _rebuild(self) -> None:
        parameter = torch.zeros(1, requires_grad=True)
        scheduler = self.factory(SGD([parameter], lr=self.lr, momentum=self.momentum))
        if not isinstance(scheduler, LRScheduler):
            raise refuse(self.name, "factory", scheduler, "a function that returns an LRScheduler")
        self.scheduler, self.position = scheduler, 0

    def _move_to(self, place: int) -> None:
        if place < self.position:
            self._rebuild()
        while self.position < place:
            self.scheduler.optimizer.step()  # torch warns if its schedulers step first
            self.scheduler.step()
            self.position += 1


def _highest_of(scheduler: LRScheduler, reads: str) -> float | None:
    """The maximum given to a scheduler that has such a setting, or to one inside it."""
    key = "max_lr" if reads == "lr" else "max_momentum"
    for inner in getattr(scheduler, "_schedulers", [scheduler]):  # of Sequential and Chained
        if isinstance(inner, OneCycleLR) and key in inner.optimizer.param_groups[0]:
            return float(inner.optimizer.param_groups[0][key])
        if isinstance(inner, CyclicLR) and hasattr(inner, f"{key}s"):
            return float(getattr(inner, f"{key}s")[0])
    return None
