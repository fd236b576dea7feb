"""The best of a run: one evaluation, or the front of several objectives. Pure."""

import os
from pathlib import Path

from fspop.objectives import Goal, front_volume, goal_of
from fspop.records import Best, Checkpoint, State
from fspop.report.schema import BestStatus, FrontPoint, FrontStatus


def best_status(state: State, root: Path) -> BestStatus | None:
    """The best evaluation so far; None before the first that counts."""
    best = state.best
    if best is None or best.evaluation.value is None:
        return None
    return BestStatus(
        value=best.evaluation.value,
        generation=best.evaluation.generation,
        step=best.evaluation.step,
        hparams=best.hparams,
        checkpoint=checkpoint_path(best.checkpoint, root),
    )


def front_status(state: State, root: Path) -> FrontStatus | None:
    """The Pareto front, by the first objective; None where a run is after one value alone."""
    if state.objectives is None:
        return None
    goal = goal_of(state)
    ordered = sorted(state.front, key=lambda best: goal.place(best.evaluation))
    points = [_point(best, goal, root) for best in ordered]
    return FrontStatus(
        size=len(points),
        limit=state.objectives.front_size,
        feasible=all(point.violation == 0 for point in points),
        hypervolume=front_volume(state.front, goal),
        points=points,
    )


def _point(best: Best, goal: Goal, root: Path) -> FrontPoint:
    evaluation = best.evaluation
    return FrontPoint(
        objectives=objectives_of(goal, evaluation.metrics, evaluation.value),
        violation=goal.place(evaluation)[0],
        generation=evaluation.generation,
        step=evaluation.step,
        hparams=best.hparams,
        checkpoint=checkpoint_path(best.checkpoint, root),
    )


def objectives_of(
    goal: Goal, metrics: dict[str, object], value: float | None
) -> dict[str, float | None]:
    """What objectives and constraints are on, by name; the score as "value" if it has no other."""
    named = {} if goal.objectives else {"value": value}
    found = {name: metrics.get(name) for name in goal.needed}
    numbers = {n: v if isinstance(v, int | float) else None for n, v in found.items()}
    return {**named, **numbers}


def checkpoint_path(checkpoint: Checkpoint | None, root: Path) -> str | None:
    """A checkpoint's absolute path; None where there is none, or its params are no path."""
    if checkpoint is None or not isinstance(checkpoint.params, str):
        return None
    return os.path.join(root.absolute(), checkpoint.params)
