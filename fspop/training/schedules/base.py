"""What a schedule is: settings, a value for each place in training, memory that resumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, ClassVar

from torch.optim import Optimizer

from fspop.errors import InvalidSetting
from fspop.training.schedules.checks import check_choice, check_number, check_whole
from fspop.training.schedules.optimizers import set_learning_rate, set_momentum


@dataclass(eq=False)
class Schedule:
    """Base of the schedules of a learning rate or momentum; a subclass defines `curve` and `check`.

    Settings never change after construction; `base` (where `rebase` moved the peak), the history
    and what was observed are its memory, all of it in `state_dict()`. With `keep_history` every
    `apply` notes (iteration, value) in `history`. `PEAK` names the setting that `rebase` replaces.
    """

    PEAK: ClassVar[str] = "lr_max"

    keep_history: bool = field(default=False, kw_only=True)
    base: float = field(init=False, repr=False)
    history: list[tuple[int, float]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        self.check()
        self.base = self.peak

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula, with the settings as given."""
        raise TypeError(f"{type(self).__name__} does not define curve()")

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""

    @property
    def peak(self) -> float:
        """The setting that `rebase` replaces, as given; above 0."""
        return float(getattr(self, self.PEAK))

    def value(self, iteration: int, epoch: int = 0) -> float:
        """The value at `iteration`, counted from 0 over all epochs, in `epoch`, from 0.

        Asking changes nothing.
        """
        check_whole(self.name, "value(iteration)", iteration)
        check_whole(self.name, "value(epoch)", epoch)
        plain = float(self.curve(iteration, epoch))
        # At the peak exactly what was assigned, not a rounding beside it.
        return self.base if plain == self.peak else plain * (self.base / self.peak)

    def observe(self, accuracy: float | None = None, loss: float | None = None) -> None:
        """Told after every validation; high accuracy and low loss are good. Most ignore it."""

    def rebase(self, peak: float) -> None:
        """Scales the whole curve, floor included, so that its peak is `peak`; its place is kept.

        For an hparam assigned in mid-run. Relative to the settings, so repeating it is harmless.
        """
        self.base = check_number(self.name, "rebase(peak)", peak, least=0)

    def apply(
        self,
        optimizer: Optimizer,
        iteration: int,
        epoch: int = 0,
        to: str = "learning_rate",
        group: int | str | None = None,
    ) -> float:
        """Sets the value at this place in `optimizer` and returns it.

        `to` is learning_rate or momentum; `group` as in `set_learning_rate`, None for all groups.
        """
        check_choice(self.name, "apply(to)", to, ("learning_rate", "momentum"))
        value = self.value(iteration, epoch)
        setter = set_momentum if to == "momentum" else set_learning_rate
        setter(optimizer, value, group)
        if self.keep_history:
            self.history.append((int(iteration), value))
        return value

    def state_dict(self) -> dict[str, Any]:
        """All memory as plain data, a copy, fit for checkpoints read with `weights_only=True`."""
        return {
            "schedule": self.name,
            "base": self.base,
            "history": [list(point) for point in self.history],
            "memory": self.memory(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken; refuses the state of another kind of schedule."""
        if state.get("schedule") != self.name:
            raise InvalidSetting(
                f"{self.name}.load_state_dict: got the state of {state.get('schedule')!r}; "
                f"build the schedule the checkpoint was written with, or train without its state"
            )
        self.rebase(state["base"])
        self.history = [(int(i), float(v)) for i, v in state["history"]]
        self.recall(state["memory"])

    def memory(self) -> dict[str, Any]:
        """What the schedule has observed, as plain data; empty for pure functions of the place."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes over what `memory` gave."""

    @property
    def name(self) -> str:
        """How `make_schedule` and checkpoints call it."""
        return type(self).__name__

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def plot(
        self, iterations: int, path: str | PathLike[str], iterations_per_epoch: int = 1
    ) -> None:
        """Draws the first `iterations` values into the image `path`; needs the extra `plots`."""
        from fspop.training.schedules.plots import plot_schedules

        plot_schedules({self.name: self}, iterations, path, iterations_per_epoch)

    def _number(self, field: str, **limits: float) -> None:
        check_number(self.name, field, getattr(self, field), **limits)

    def _whole(self, field: str, least: int = 0) -> None:
        check_whole(self.name, field, getattr(self, field), least)
