"""The Pareto front of a run: its best checkpoints, none of which dominates another. Pure."""

from collections.abc import Sequence

from fspop.objectives.dominance import dominates, order
from fspop.objectives.goal import Goal
from fspop.objectives.hypervolume import hypervolume
from fspop.records import Best


def with_point(front: Sequence[Best], new: Best, goal: Goal, size: int) -> list[Best]:
    """The front after one more evaluation.

    Of equal ones the first stays. Where it has more than `size` points, the one goes that adds
    least to it (the least crowding distance or hypervolume); the newer one of equals.
    """
    score = goal.score(new.evaluation)
    same = (new.evaluation.generation, new.evaluation.step)
    front = [b for b in front if (b.evaluation.generation, b.evaluation.step) != same]
    scores = vectors(front, goal)
    if not isinstance(score, list) or any(s == score or dominates(s, score) for s in scores):
        return front
    kept = [b for b, s in zip(front, scores, strict=True) if not dominates(score, s)]
    found = [*kept, new]
    if len(found) > size:
        found.pop(order(vectors(found, goal), goal.ranking, goal.reference_costs)[-1])
    return found


def vectors(front: Sequence[Best], goal: Goal) -> list[list[float]]:
    """The points' scores."""
    scores = (goal.score(best.evaluation) for best in front)
    return [score for score in scores if isinstance(score, list)]


def front_volume(front: Sequence[Best], goal: Goal) -> float | None:
    """The hypervolume of the feasible points below the goal's reference; None without one."""
    reference = goal.reference_costs
    if reference is None:
        return None
    feasible = [score[1:] for score in vectors(front, goal) if score[0] == 0]
    return hypervolume(feasible, reference)
