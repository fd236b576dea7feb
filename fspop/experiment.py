"""What a user writes: a task, a population, a space and a strategy."""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Mutator
from fspop.objectives import Goal
from fspop.records import check_plain, is_number
from fspop.seeds import Rng
from fspop.space import Space

MAX_MEMBERS = 10_000
MAX_BUDGET_GB = 10**9
VERBS = ("setup", "train", "evaluate", "state_dict", "load_state_dict")
"""What a task must define, see fspop.training.Task."""

FirstFn = Callable[[int, random.Random], Any]
"""The first hparams of a member; its random numbers derive from the run's seed."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A population to train. All settings are checked here, before anything is written.

    task: a class (or function without arguments) that gives a `fspop.training.Task`. members: how
    many (1 to 10,000). space: the hparams' domains, nested as the hparams are, from which the first
    ones are drawn. initial_population: the first hparams, one per member, or a function of (member,
    rng) that gives them: within the space, or any plain data where there is none. mode: whether the
    metric is best at its "min" or "max". metric: which key of a mapping returned by evaluate() is
    the score.
    objectives: several metrics instead, as {"accuracy": "max", "latency_ms": "min"}; the first one
    is the score where one number is wanted. constraints: limits of metrics, as "latency_ms <= 20".
    ranking: what decides among those of a front, "crowding" or "hypervolume". reference: by
    objective, the worst value of interest. front_size: how many checkpoints of the front stay on
    disk (see `fspop.objectives.Goal`). total_steps: where a member finishes. report_every: steps
    between evaluations. max_lead_steps: a worker that leads the slowest free member by more than
    this moves on to it (default: report_every). keep_best: how many of the best checkpoints stay on
    disk. checkpoint_budget_gb: above it, only what training needs to go on, and the best one, stay.
    tensorboard: whether workers write event files below the run's logs/. threads: CPU threads per
    member, fixed because the same network on another number of threads gives other bits.
    max_attempts, max_deaths: how often a member may raise, or lose its worker, since its last
    checkpoint before it is given up. lease_timeout_s: how long a worker's heartbeat may stand
    still; stall_timeout_s: and its training.
    """

    task: Callable[[], Any]
    members: int
    mutator: Mutator
    total_steps: int
    space: Mapping[str, Any] | Space | None = None
    initial_population: Sequence[Any] | FirstFn | None = None
    mode: str = "max"
    metric: str | None = None
    objectives: Mapping[str, str] = dataclasses.field(default_factory=dict)
    constraints: Sequence[str] = ()
    ranking: str = "crowding"
    reference: Mapping[str, float] = dataclasses.field(default_factory=dict)
    front_size: int = 32
    seed: int = 0
    report_every: int = 100
    max_lead_steps: int | None = None
    keep_best: int = 1
    checkpoint_budget_gb: float = 100.0
    tensorboard: bool = True
    threads: int = 1
    max_attempts: int = 3
    max_deaths: int = 20
    lease_timeout_s: float = 120.0
    stall_timeout_s: float = 900.0

    def __post_init__(self) -> None:
        self._check_task()
        _check_int("members", self.members, 1, MAX_MEMBERS)
        _check_int("total_steps", self.total_steps, 1)
        _check_int("report_every", self.report_every, 1)
        _check_int("seed", self.seed, 0)
        _check_int("threads", self.threads, 1)
        _check_int("keep_best", self.keep_best, 1)
        _check_positive("checkpoint_budget_gb", self.checkpoint_budget_gb)
        most = self.checkpoint_budget_gb <= MAX_BUDGET_GB
        _check(most, "checkpoint_budget_gb", self.checkpoint_budget_gb, f"at most {MAX_BUDGET_GB}")
        _check_int("max_attempts", self.max_attempts, 1)
        _check_int("max_deaths", self.max_deaths, 1)
        if self.max_lead_steps is not None:
            _check_int("max_lead_steps", self.max_lead_steps, 0)
        _check(self.mode in ("min", "max"), "mode", self.mode, '"min" or "max"')
        self._check_goal()
        _check_positive("lease_timeout_s", self.lease_timeout_s)
        _check_positive("stall_timeout_s", self.stall_timeout_s)
        _check(
            isinstance(self.mutator, Mutator), "mutator", self.mutator, "a fspop.mutators.Mutator"
        )
        if self.space is not None and not isinstance(self.space, Space):
            object.__setattr__(self, "space", Space(self.space))
        self._check_population()
        self.mutator.check(self.members, self.domains)
        if self.initial_population is not None:
            self.mutator.rehearse(self.first_hparams()[0], self.domains)

    def _check_task(self) -> None:
        task, name = self.task, type(self.task).__name__
        made = not isinstance(task, type) and hasattr(task, "load_state_dict")
        wanted = "a class that implements fspop.training.Task, or a function that makes one"
        hint = f": {name}, not {name}()" if made else ""
        _check(callable(task) and not made, "task", task, wanted + hint)

    def _check_goal(self) -> None:
        _check_int("front_size", self.front_size, 2, 1000)
        goal = self.goal  # checks itself
        first = next(iter(goal.objectives), self.metric)
        _check(
            self.metric in (None, first), "metric", self.metric, f"{first!r}, the first objective"
        )
        _check(
            first is not None or not goal.constraints,
            "metric",
            self.metric,
            "the key that is the score, because constraints are on metrics of a mapping",
        )
        object.__setattr__(self, "metric", first)
        object.__setattr__(self, "mode", next(iter(goal.objectives.values()), self.mode))
        for field in ("objectives", "reference"):
            object.__setattr__(self, field, dict(getattr(self, field)))
        object.__setattr__(self, "constraints", tuple(self.constraints))

    @property
    def goal(self) -> Goal:
        """What is better."""
        return Goal(self.mode, self.objectives, self.constraints, self.ranking, self.reference)

    def _check_population(self) -> None:
        given = self.initial_population
        if self.space is None and given is None and self.mutator.first_hparams(None) is None:
            raise InvalidSetting(
                "Experiment: needs space, initial_population, or both; got neither of them"
            )
        if given is not None and not callable(given) and len(given) != self.members:
            raise InvalidSetting(
                f"Experiment.initial_population: got {len(given)} hparams "
                f"for {self.members} members; give one for each"
            )
        self.first_hparams()

    @property
    def domains(self) -> Space | None:
        """The space, None where there is none."""
        return self.space if isinstance(self.space, Space) else None

    def first_hparams(self) -> list[Any]:
        """The hparams the members begin with, by member; a function of the experiment alone."""
        rng = Rng(self.seed, [0] * self.members)
        return [self._first(i, rng.member(i, "initial")) for i in range(self.members)]

    def _first(self, member: int, rng: random.Random) -> Any:
        given, space = self.initial_population, self.domains
        if given is None:
            return self.mutator.first_hparams(None if space is None else space.sample(rng))
        hparams = given(member, rng) if callable(given) else given[member]
        plain = check_plain(hparams, f"hparams of member {member}")
        if space is not None and space.clip(plain, rng) != plain:
            raise InvalidSetting(
                f"Experiment.initial_population: member {member} begins with {plain!r}, which is "
                "not in the space; widen the space, or change these hparams"
            )
        return self.mutator.first_hparams(plain)


def check_verbs(task: Any) -> None:
    """Raises InvalidSetting for a class that lacks some of what a task must define."""
    lacking = [verb for verb in VERBS if not hasattr(task, verb)]
    if isinstance(task, type) and lacking:
        raise InvalidSetting(
            f"Experiment.task: {task.__name__} does not define {', '.join(lacking)}; a task has "
            f"{', '.join(VERBS)}",
            field="task",
        )


def _check(ok: bool, field: str, value: Any, wanted: str) -> None:
    if not ok:
        raise InvalidSetting(
            f"Experiment.{field}: got {value!r}, but it must be {wanted}", field=field
        )


def _check_positive(field: str, value: Any) -> None:
    _check(is_number(value) and value > 0, field, value, "a number above 0")


def _check_int(field: str, value: Any, least: int, most: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    wanted = f"a whole number of at least {least}" + (f" and at most {most}" if most else "")
    _check(whole and value >= least and (most is None or value <= most), field, value, wanted)
