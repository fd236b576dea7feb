"""What a strategy is: settings in its constructor, all memory in its state, decisions as plain
data.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from fspop.objectives import Goal
from fspop.records import Checkpoint, Evaluation, Point, check_plain
from fspop.seeds import Rng
from fspop.space import Space

MutatorState = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class MemberView:
    """What a strategy sees of a member's current generation.

    `evaluations` ascend by step and hold the newest 64 of this generation. `checkpoints` ascend too
    and may be started from; `restart` is where the member itself would go on (its origin where it
    has none of its own yet). `status` is active, finished or failed. `train_s` are this
    generation's seconds of training. `step` is the highest step it reported.
    """

    index: int
    generation: str
    hparams: Any
    start_step: int
    step: int
    train_s: float
    status: str
    evaluations: tuple[Evaluation, ...]
    checkpoints: tuple[Checkpoint, ...]
    restart: Checkpoint | None

    @property
    def latest(self) -> Evaluation | None:
        """The newest evaluation that has a value or diverged; None before the first."""
        return next(
            (e for e in reversed(self.evaluations) if e.value is not None or e.diverged), None
        )

    @property
    def diverged(self) -> bool:
        """Whether the newest evaluation cannot count."""
        return self.latest is not None and bool(self.latest.diverged)


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What a strategy sees: all members, and the evaluation that was just reported.

    `mode` is min or max, and `goal` what is better where one value does not say it all: strategies
    take what an evaluation is worth from `goal.score`. `reported` is the index of the member whose
    report is being committed; None on a poll and when a member failed. `report` is that evaluation
    (its value None: only a checkpoint was registered).
    """

    mode: str
    members: tuple[MemberView, ...]
    reported: int | None = None
    report: Evaluation | None = None
    space: Space | None = None
    total_steps: int | None = None
    aims: Goal | None = None

    @property
    def goal(self) -> Goal:
        """What the run is after."""
        return self.aims if self.aims is not None else Goal(self.mode)


class Decision(NamedTuple):
    """Member `member`: start a new generation from checkpoint `source` with `hparams`, because
    `reason`.

    `source` None starts from nothing. The controller makes ids, parents and records from it.
    """

    member: int
    source: Point | None
    hparams: Any
    reason: str


@dataclasses.dataclass(frozen=True)
class Mutator:
    """Base of the strategies: a frozen dataclass of settings with pure methods.

    A strategy never touches storage, torch, clocks or global random state. The state it returns is
    plain data with string keys. It must not modify what it is given.
    """

    def init(self) -> MutatorState:
        """The state a run begins with."""
        return {}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Called under the lock with every report, and when a member fails; returns the new state
        and what to do.
        """
        raise TypeError(f"{type(self).__name__} does not define update()")

    def on_poll(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Called on every poll where a strategy overrides it; a strategy that does makes polls
        cost a commit.
        """
        return state, []

    def resume(self, view: View, former: "Mutator", memory: MutatorState) -> MutatorState:
        """The state to go on with where a person made this the strategy of a run under way.

        `former` was the strategy until now (perhaps one of the same class with other settings),
        `memory` its state. Decides nothing: afterwards every member's newest evaluation is given to
        `update` again, by step and member. The default forgets what was before.
        """
        return self.init()

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The step `member` must not train beyond before the next decision; None: no limit
        (asynchronous).
        """
        return None

    def keeps(self, state: MutatorState) -> list[Point]:
        """Checkpoints that must not be deleted beyond what the members themselves still need."""
        return []

    def first_hparams(self, given: Any) -> Any:
        """What a member begins with where the experiment gives `given` (None: nothing)."""
        return given

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting where the strategy cannot work with this population; called at
        init.
        """

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where a function of the user's fails on a member's first hparams;
        called at init.
        """

    @property
    def name(self) -> str:
        """How run.json and status call it."""
        return type(self).__name__

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as plain data; functions by their import path."""
        return {f.name: as_data(getattr(self, f.name)) for f in dataclasses.fields(self)}


def as_data(value: Any) -> Any:
    """A setting as plain data: strategies and rules by their name and settings, functions by their
    import path. Those that are not fspop's say their `class`. `described.build` is the way back.
    """
    if isinstance(value, Mutator):
        return _described(value, value.name, value.settings())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        settings = {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return _described(value, type(value).__name__, settings)
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)  # e.g. a functools.partial
        return {"function": f"{named.__module__}:{named.__qualname__}"}
    return check_plain(value, "setting")


def _described(value: Any, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    cls = type(value)
    theirs = not cls.__module__.startswith("fspop.")
    own = {"class": f"{cls.__module__}:{cls.__qualname__}"} if theirs else {}
    return {"name": name, "settings": settings, **own}


MutateFn = Callable[..., Any]
