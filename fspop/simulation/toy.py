"""A toy problem as an experiment: what workers train, and what is simulated in memory."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Protocol

from fspop.errors import InvalidSetting
from fspop.experiment import Experiment
from fspop.mutators.base import Mutator
from fspop.mutators.clocks import EPOCH
from fspop.problems import Problem, Trained
from fspop.records import is_number
from fspop.seeds import derive_seed


def task_seed(seed: int, member: int, index: int) -> int:
    """The seed that a worker tells the task of this generation."""
    return derive_seed(seed, member, index, "task")


def metrics(problem: Problem, step: int, done: Trained) -> dict[str, Any]:
    """What a report at `step` says; `value` is the score. A round counts as an epoch."""
    usual = {"value": done.value, "curve": done.curve, EPOCH: step / problem.round_steps}
    return {**usual, **problem.metrics(done)}


class Told(Protocol):
    """What a task is told, as far as toys need it: see fspop.training.Context."""

    member: int
    seed: int
    step: int
    hparams: Any


class ToyTask:
    """A member's training on a toy problem, which sleeps `step_s` seconds in each step."""

    def __init__(self, problem: Problem, step_s: float = 0.0):
        self._problem, self._step_s = problem, step_s

    def setup(self, context: Told) -> None:
        """Begins where the problem begins."""
        self._seed, self._step, self._hparams = context.seed, context.step, context.hparams
        self._done = Trained(self._problem.begin(context.member), 0.0, [])
        self._done = self._trained(0)

    def _trained(self, n_steps: int) -> Trained:
        return self._problem.train(self._done.params, self._hparams, n_steps, self._seed)

    def train(self, n_steps: int) -> None:
        """Trains; the curve begins anew where a report was due."""
        for _ in range(n_steps):
            curve = self._done.curve if self._step % self._problem.round_steps else []
            done = self._trained(1)
            self._done = done._replace(curve=[*curve, *done.curve])
            self._step += 1
            if self._step_s:
                time.sleep(self._step_s)

    def evaluate(self) -> Mapping[str, Any]:
        """The score and the curve since the last report."""
        return metrics(self._problem, self._step, self._done)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"params": self._done.params, "value": self._done.value, "curve": self._done.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self._done = Trained(state["params"], state["value"], state["curve"])


@dataclasses.dataclass(frozen=True)
class Toy:
    """Makes the tasks of a toy problem. step_s: seconds to sleep in each step, so that it takes as
    long as something real; no result depends on it.
    """

    problem: Problem
    step_s: float = 0.0

    def __post_init__(self) -> None:
        if not is_number(self.step_s) or self.step_s < 0:
            raise InvalidSetting(f"task.step_s: got {self.step_s!r}; give seconds of at least 0")

    def __call__(self) -> ToyTask:
        """A member's task."""
        return ToyTask(self.problem, self.step_s)


def toy_experiment(problem: Problem, mutator: Mutator, **settings: Any) -> Experiment:
    """The experiment that trains `problem` with `mutator`; `settings` are further ones of it."""
    return Experiment(
        **{
            "task": Toy(problem),
            "members": problem.members,
            "mutator": mutator,
            "space": problem.space,
            "initial_population": problem.first_hparams,
            "total_steps": problem.total_steps,
            "report_every": problem.round_steps,
            "metric": None if settings.get("objectives") else "value",
            "tensorboard": False,
            **settings,
        }
    )
