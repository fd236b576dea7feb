"""The schedules of a trainer: one for each parameter group, for learning rate and momentum."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fspop.errors import HparamsNotApplied, InvalidSetting
from fspop.training.hparam_places import Place, group_key, in_groups, put_back
from fspop.training.in_effect import same
from fspop.training.schedules import (
    Schedule,
    TorchSchedule,
    get_learning_rate,
    get_momentum,
    make_schedule,
    set_learning_rate,
    set_momentum,
)
from fspop.training.schedules.checks import check_number
from fspop.training.schedules.optimizers import param_groups

_TARGETS = {
    "learning_rate": "learning_rate",
    "lr": "learning_rate",
    "momentum": "momentum",
    "beta1": "momentum",
    "betas": "momentum",
}


_Values = list[dict[str, float]]


class _Entry(NamedTuple):
    schedule: Schedule
    to: str
    group: int


class Schedules:
    """Sets learning rates and momenta at each step, where there is a schedule for them.

    A single schedule drives every group, a mapping those it names. Each is driven by a copy of its
    own (the first by the object itself), so that one group's peak can move alone. `before` are the
    schedules that these replace.
    """

    def __init__(self, optimizer: Optimizer, before: "Schedules | None" = None):
        self.optimizer = optimizer
        self.iteration = self.epoch = 0
        self._entries: list[_Entry] = []
        kept = before is not None and before.optimizer is optimizer
        self._own: _Values = before._own if kept else _values(optimizer)  # type: ignore[union-attr]

    def add(self, given: Any, to: str, otherwise: float) -> None:
        """Takes the option lr_scheduler or mtm_scheduler.

        One by name, or of torch, gets the value that its group had before it was driven by any; or
        `otherwise`, where that is 0.
        """
        if given is None:
            return
        by_group = given if isinstance(given, Mapping) else {None: given}
        for name, each in by_group.items():
            for group in param_groups(self.optimizer, name):
                self._add(each, to, group, otherwise)

    def _add(self, given: Any, to: str, group: Any, otherwise: float) -> None:
        index = [each is group for each in self.optimizer.param_groups].index(True)
        schedule = _as_schedule(given, to, self._own[index].get(to) or otherwise)
        if any(schedule is entry.schedule for entry in self._entries):
            schedule = copy.deepcopy(schedule)
        self._entries.append(_Entry(schedule, to, index))

    def __bool__(self) -> bool:
        return bool(self._entries)

    def apply(self, iteration: int, epoch: int) -> None:
        """Sets every value for the step after `iteration` steps."""
        self.iteration, self.epoch = iteration, epoch
        for entry in self._entries:
            entry.schedule.apply(self.optimizer, iteration, epoch, entry.to, entry.group)

    def refresh(self) -> None:
        """Sets the values of this place again, after peaks or schedules have changed."""
        for entry in self._entries:
            value = entry.schedule.value(self.iteration, self.epoch)
            setter = set_momentum if entry.to == "momentum" else set_learning_rate
            setter(self.optimizer, value, entry.group)

    def move_to(self, iteration: int, epoch: int) -> None:
        """To another place, without noting it in the schedules' histories."""
        self.iteration, self.epoch = iteration, epoch
        self.refresh()

    def observe(self, accuracy: float | None, loss: float | None) -> None:
        """Tells what validation measured."""
        for entry in self._entries:
            entry.schedule.observe(accuracy, loss)

    def values(self) -> dict[str, float]:
        """What is in effect now, by history tag: schedule/lr_<group>, schedule/mtm_<group>."""
        found = {}
        for entry in self._entries:
            label = self.optimizer.param_groups[entry.group].get("name", entry.group)
            short = "lr" if entry.to == "learning_rate" else "mtm"
            found[f"schedule/{short}_{label}"] = _in_effect(self.optimizer, entry)
        return found

    def places(self, name: str) -> list[Place]:
        """Where the hyperparameter `name` takes effect: in the peaks of the groups that have a
        schedule for it, in the others directly; [] where no schedule is concerned.
        """
        base, _, group = name.partition(".")
        driven = {e.group: e for e in self._entries if e.to == _TARGETS.get(base)}
        if not driven:
            return []
        found: list[Place] = []
        chosen = param_groups(self.optimizer, group_key(group))
        for number, each in enumerate(self.optimizer.param_groups):
            if any(each is one for one in chosen):
                plain = in_groups(self.optimizer, [each], base)
                found += [_Peak(self, driven[number], plain)] if number in driven else plain
        return found

    def state(self) -> list[dict[str, Any]]:
        """The memory of all schedules."""
        return [
            {"to": entry.to, "group": entry.group, "state": entry.schedule.state_dict()}
            for entry in self._entries
        ]

    def check(self, state: list[dict[str, Any]]) -> None:
        """Raises InvalidSetting where `state` is of other schedules than these."""
        mine = [(entry.to, entry.group, entry.schedule.name) for entry in self._entries]
        theirs = [(each["to"], each["group"], each["state"]["schedule"]) for each in state]
        if mine != theirs:
            raise InvalidSetting(
                f"Trainer.lr_scheduler, mtm_scheduler: got {_names(mine)}, but the checkpoint was "
                f"written with {_names(theirs)}; give the same ones"
            )

    def load(self, state: list[dict[str, Any]]) -> None:
        """Goes on where `state` was taken."""
        for entry, saved in zip(self._entries, state, strict=True):
            entry.schedule.load_state_dict(saved["state"])


class _Peak:
    """The peak of a schedule as a hyperparameter: assigning it scales the whole curve."""

    def __init__(self, schedules: Schedules, entry: _Entry, plain: list[Place]):
        self.schedules, self.entry, self.plain = schedules, entry, plain
        self.spot = getattr(plain[0], "spot", (id(self),)) if plain else (id(self),)

    def set(self, value: Any) -> None:
        if isinstance(value, list | tuple):
            raise HparamsNotApplied(
                f"hyperparameter betas={value!r}: mtm_scheduler drives the first of them; assign "
                "momentum and beta2 instead",
                name="betas",
            )
        below = 1 if self.entry.to == "momentum" else None
        check_number("hparams", self.entry.to, value, least=0, below=below)
        self.entry.schedule.rebase(value)
        self.schedules.refresh()

    def get(self) -> Any:
        """The peak while the optimizer really follows the schedule, else what it does instead."""
        schedule, optimizer = self.entry.schedule, self.schedules.optimizer
        effective = _in_effect(optimizer, self.entry)
        wanted = schedule.value(self.schedules.iteration, self.schedules.epoch)
        return schedule.base if same(effective, wanted) else effective

    def keep(self) -> Callable[[], None]:
        schedule = self.entry.schedule
        kept = [(n, getattr(schedule, n)) for n in ("base", "moved") if hasattr(schedule, n)]
        plain = [put_back(place) for place in self.plain]

        def restore() -> None:
            for name, value in kept:
                setattr(schedule, name, value)
            for each in plain:
                each()

        return restore


def _in_effect(optimizer: Optimizer, entry: _Entry) -> float:
    read = get_momentum if entry.to == "momentum" else get_learning_rate
    return read(optimizer, entry.group)


def _values(optimizer: Optimizer) -> _Values:
    """Learning rate, and momentum where there is one, of each param group."""
    found: _Values = []
    for number, group in enumerate(optimizer.param_groups):
        values = {"learning_rate": get_learning_rate(optimizer, number)}
        if "momentum" in group or "betas" in group:
            values["momentum"] = get_momentum(optimizer, number)
        found.append(values)
    return found


def _as_schedule(given: Any, to: str, peak: float) -> Schedule:
    if isinstance(given, Schedule):
        return given
    if isinstance(given, str):
        schedule = make_schedule(given)
        schedule.rebase(peak)
        return schedule
    if callable(given) and not isinstance(given, type):
        if to == "momentum":
            return TorchSchedule(given, momentum=peak, reads="momentum")
        return TorchSchedule(given, lr=peak)
    option = "mtm_scheduler" if to == "momentum" else "lr_scheduler"
    bound = "an LRScheduler that drives an optimizer" if isinstance(given, LRScheduler) else given
    raise InvalidSetting(
        f"Trainer.{option}: got {bound!r}, but it must be a fspop.training.schedules.Schedule, its "
        "name, a function of an optimizer that returns a torch scheduler, or a dict of those by "
        "parameter group"
    )


def _names(entries: list[tuple[str, int, str]]) -> str:
    return ", ".join(f"{name} for {to} of group {group}" for to, group, name in entries) or "none"
