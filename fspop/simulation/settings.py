"""The settings a strategy gets on a toy problem: the published ones, where there are such."""

import dataclasses
import functools
import random
from typing import Any

from fspop.experiment import Experiment
from fspop.mutators import Perturb, Truncation
from fspop.mutators.by_name import mutator_class
from fspop.mutators.explore import Explore
from fspop.problems import PROBLEMS, Problem, nudged
from fspop.simulation.toy import Toy, toy_experiment
from fspop.space import Space

HALF_OR_DOUBLE = Perturb((0.5, 2.0), resample_probability=0.0)
EXPLORE: dict[str, Explore] = {
    "quadratic": nudged,
    "triangle": Perturb(),
    "plain": HALF_OR_DOUBLE,
    "deceptive": HALF_OR_DOUBLE,
}
FRACTION = {"quadratic": 0.5, "triangle": 0.25, "plain": 5 / 22, "deceptive": 5 / 22}
MEMBERS = {
    "FIRE": 22,
    "MultipleFrequencies": 24,
    "SingleWorkerExplore": 1,
    "PB2": 8,
    "IteratedRestarts": 8,
}
"""Where a strategy needs, or was published with, another population than the problem's."""


def named_experiment(
    problem: str, mutator: str, *, seed: int = 0, step_s: float = 0.0
) -> Experiment:
    """The experiment that trains the toy problem with the strategy of these names.

    Raises KeyError for an unknown problem, UsageError for an unknown strategy.
    """
    toy = PROBLEMS[problem]()
    cls = mutator_class(mutator, "--mutator")
    given = _settings(problem, toy, cls.__name__)
    names = {field.name for field in dataclasses.fields(cls)}
    made = cls(**{name: value for name, value in given.items() if name in names})
    return toy_experiment(
        toy,
        made,
        task=Toy(toy, step_s),
        members=MEMBERS.get(cls.__name__, toy.members),
        seed=seed,
    )


def _settings(problem: str, toy: Problem, mutator: str) -> dict[str, Any]:
    every, explore = toy.round_steps, EXPLORE[problem]
    settings = {
        "interval": every,
        "steps_per_exploit": every,
        "exploit_steps": 2 * every,
        "explore_steps": every,
        "synchronous": True,
        "explore": explore,
        "mutate_fn": explore,
        "exploit": Truncation(FRACTION[problem]),
        "fraction": FRACTION[problem],
        "schedule": schedule(problem, toy),
    }
    if mutator == "FIRE":
        return {**settings, "fraction": 0.25, "start": every, "max_eval_steps": 3 * every}
    if mutator in ("PB2", "IteratedRestarts"):  # they explore in their own way
        del settings["explore"], settings["fraction"]
    elif mutator == "WinnerTakeAllGenetic":
        settings["mutate_winner"] = True
    elif mutator == "SingleWorkerExplore":
        settings["mutate_fn"] = functools.partial(aside, toy.space)
    return settings


def schedule(problem: str, toy: Problem) -> dict[int, Any]:
    """A good schedule of the problem; on the deceptive one the best there is."""
    if problem == "quadratic":
        return {0: {"h0": 1.0, "h1": 1.0}}
    if problem == "triangle":
        return {0: {"lr": 0.003}}
    if problem == "plain":
        return {0: {"h": 1e-4}}
    steps = range(0, toy.total_steps, toy.round_steps)
    return {step: {"h": 1 - step / toy.total_steps} for step in steps}


def aside(space: Space, hparams: Any, direction: str, phase: int) -> Any:
    """One hparam, drawn for the phase, a twentieth of its range up or down; the space clips it."""
    step = 0.05 if direction == "pos" else -0.05
    ranges = {name: domain.high - domain.low for name, domain in space.mapping.items()}
    moved = random.Random(phase).choice(sorted(ranges))
    return {**hparams, moved: hparams[moved] + step * ranges[moved]}
