"""Any scheduler of `torch.optim.lr_scheduler` as a Schedule."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fspop.errors import UsageError
from fspop.training.plain_state import like, plain
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.checks import check_choice, refuse


@dataclass(eq=False)
class TorchSchedule(Schedule):
    """Follows the scheduler that `factory(optimizer)` returns.

    The scheduler drives a private one-parameter SGD with this `lr` and `momentum`; its value is
    read from there, so it never touches the real optimizer and `rebase` scales what it says: `lr`
    is the peak (with OneCycleLR and CyclicLR give their max_lr). `per` says whether it steps each
    iteration or each epoch, `reads` whether this is its lr or its momentum. ReduceLROnPlateau steps
    on `observe` instead: on the accuracy with mode="max", on the loss with mode="min".

    Values follow from the place, so going back is allowed; it replays the scheduler from its start.
    """

    factory: Callable[[Optimizer], LRScheduler]
    lr: float = 0.1
    momentum: float = 0.9
    per: str = "iteration"
    reads: str = "lr"
    scheduler: LRScheduler = field(init=False, repr=False)
    position: int = field(init=False, repr=False, default=0)

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work or the factory gives no scheduler."""
        self._number("lr", above=0)
        self._number("momentum", above=0, below=1)
        check_choice(self.name, "per", self.per, ("iteration", "epoch"))
        check_choice(self.name, "reads", self.reads, ("lr", "momentum"))
        self._rebuild()

    @property
    def peak(self) -> float:
        """`lr` or `momentum`, whichever is read."""
        return self.lr if self.reads == "lr" else self.momentum

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
        plained: dict[str, Any] = plain(copy.deepcopy(memory))  # MultiStepLR has a Counter
        return plained

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes over what `memory` gave, in a scheduler built anew."""
        memory = copy.deepcopy(dict(memory))
        self._rebuild()
        self.scheduler.load_state_dict(like(self.scheduler.state_dict(), memory["scheduler"]))
        self._group.update(memory["group"])
        self.position = memory["position"]

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
