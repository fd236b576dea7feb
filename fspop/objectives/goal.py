"""What a run is after: one metric, or several with directions and limits."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fspop.errors import InvalidSetting
from fspop.objectives.dominance import RANKINGS
from fspop.records import Evaluation, Manifest, Objectives, State, is_number

Score = float | list[float]
"""How good an evaluation is: a number, or the vector [violation, cost, …] of a goal with several
objectives or with constraints. Plain data, so that a strategy's state may hold it."""

_LIMIT = re.compile(r"\s*([^<>=]+?)\s*(<=|>=)\s*([^<>=\s]+)\s*\Z")
MAX_OBJECTIVES = 8
MAX_FOR_HYPERVOLUME = 4


class Limit(NamedTuple):
    """A constraint: `metric` is at most, or at least, `bound`."""

    metric: str
    at_most: bool
    bound: float

    def violation(self, value: float) -> float:
        """How far `value` is outside, as a share of the bound's size; of a bound of 0: itself."""
        outside = value - self.bound if self.at_most else self.bound - value
        return max(0.0, outside) / (abs(self.bound) or 1.0)


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is better. All settings are checked here.

    mode: min or max, for a run with one metric. objectives: min or max by metric; the first one is
    the score where one number is wanted. constraints: as "latency_ms <= 20"; what keeps to all of
    them is better than what does not, and that is ranked by how much it violates them together,
    each as a share of its bound. ranking: what decides within a front, "crowding" or
    "hypervolume". reference: by metric, the worst value that is of any interest.
    """

    mode: str = "min"
    objectives: Mapping[str, str] = dataclasses.field(default_factory=dict)
    constraints: Sequence[str] = ()
    ranking: str = "crowding"
    reference: Mapping[str, float] = dataclasses.field(default_factory=dict)
    limits: list[Limit] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for mode in (self.mode, *_checked(self.objectives).values()):
            if mode not in ("min", "max"):
                raise InvalidSetting(f'mode: got {mode!r}, but it must be "min" or "max"')
        if isinstance(self.constraints, str) or not isinstance(self.constraints, Sequence):
            raise InvalidSetting(
                f'constraints: got {self.constraints!r}; give a list such as ["latency_ms <= 20"]'
            )
        object.__setattr__(self, "limits", [_read(text) for text in self.constraints])
        if self.ranking not in RANKINGS:
            names = " or ".join(map(repr, RANKINGS))
            raise InvalidSetting(f"ranking: got {self.ranking!r}; give {names}")
        if self.ranking == "hypervolume" and len(self.objectives) > MAX_FOR_HYPERVOLUME:
            raise InvalidSetting(
                f"ranking: got 'hypervolume' for {len(self.objectives)} objectives, whose cost "
                f"grows too fast beyond {MAX_FOR_HYPERVOLUME}; give 'crowding'"
            )
        self._check_reference()

    def _check_reference(self) -> None:
        reference = self.reference
        if not isinstance(reference, Mapping) or not all(map(is_number, reference.values())):
            raise InvalidSetting(f"reference: got {reference!r}; give a number by metric")
        if reference and reference.keys() != self.objectives.keys():
            raise InvalidSetting(
                f"reference: got {sorted(reference)}; give one for each of the objectives "
                f"{sorted(self.objectives)}"
            )

    @property
    def is_plain(self) -> bool:
        """Whether one number says it all."""
        return len(self.objectives) < 2 and not self.constraints

    @property
    def needed(self) -> list[str]:
        """The metrics every evaluation must have; none for a plain goal."""
        limited = [limit.metric for limit in self.limits]
        return [] if self.is_plain else list(dict.fromkeys([*self.objectives, *limited]))

    @property
    def sign(self) -> float:
        """What makes `numbers` higher is better."""
        return -1.0 if self.is_plain and self.mode == "min" else 1.0

    @property
    def reference_costs(self) -> list[float] | None:
        """The reference point as costs; None where there is none."""
        if not self.reference:
            return None
        return [_cost(mode, self.reference[name]) for name, mode in self.objectives.items()]

    def score(self, evaluation: Evaluation) -> Score | None:
        """What an evaluation is worth; None where it has no value, or lacks a metric."""
        value, metrics = evaluation.value, evaluation.metrics
        if value is None or self.is_plain:
            return value
        found: dict[str, Any] = {name: metrics.get(name) for name in self.needed}
        if not all(is_number(number) for number in found.values()):
            return None
        costs = [_cost(mode, found[name]) for name, mode in self.objectives.items()]
        violation = math.fsum(limit.violation(found[limit.metric]) for limit in self.limits)
        return [violation, *(costs or [_cost(self.mode, value)])]

    def values(self, score: Sequence[float]) -> dict[str, float]:
        """The objectives of a vector by name, as they were reported."""
        modes = self.objectives or {"value": self.mode}
        named = zip(modes.items(), score[1:], strict=True)
        return {name: _cost(mode, cost) for (name, mode), cost in named}

    def place(self, evaluation: Evaluation) -> tuple[float, float]:
        """What orders evaluations where one is to be the best: violation, then the first cost."""
        score = self.score(evaluation)
        return (score[0], score[1]) if isinstance(score, list) else (math.inf, math.inf)

    def shown(self, score: Score) -> str:
        """A score for a reason or a line."""
        if not isinstance(score, list):
            return f"{score:.6g}"
        values = ", ".join(f"{name} {value:.6g}" for name, value in self.values(score).items())
        return f"{values}, infeasible by {score[0]:.3g}" if score[0] > 0 else values

    def first(self, score: Score) -> float:
        """The score itself, or the first objective of a vector; higher is better in either case."""
        return -score[1] if isinstance(score, list) else (-score if self.mode == "min" else score)


def goal_of(run: State | Manifest) -> Goal:
    """The goal of a run."""
    found = run.objectives if isinstance(run, State) else objectives_of(run)
    if found is None:
        return Goal(run.mode)
    return Goal(run.mode, found.modes, found.constraints, found.ranking, found.reference)


def objectives_of(manifest: Manifest) -> Objectives | None:
    """What the manifest says about objectives; None where one value says it all."""
    m = manifest
    if len(m.objectives) < 2 and not m.constraints:
        return None
    return Objectives(m.objectives, m.constraints, m.ranking, m.reference, m.front_size)


def _cost(mode: str, value: Any) -> float:
    return float(value) if mode == "min" else -float(value)


def _checked(objectives: Any) -> Mapping[str, Any]:
    if not isinstance(objectives, Mapping) or not all(isinstance(name, str) for name in objectives):
        raise InvalidSetting(
            f'objectives: got {objectives!r}; give directions by metric, as {{"accuracy": "max"}}'
        )
    if len(objectives) > MAX_OBJECTIVES:
        raise InvalidSetting(
            f"objectives: got {len(objectives)}, where nearly everything is a front; give at most "
            f"{MAX_OBJECTIVES}, the others as constraints"
        )
    return objectives


def _read(text: Any) -> Limit:
    match = _LIMIT.match(text) if isinstance(text, str) else None
    try:
        bound = float(match[3]) if match else None
    except ValueError:
        bound = None
    if match is None or bound is None or not is_number(bound):
        raise InvalidSetting(
            f'constraints: got {text!r}; write a metric, <= or >=, and a number: "latency_ms <= 20"'
        )
    return Limit(match[1], match[2] == "<=", bound)
