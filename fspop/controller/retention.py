"""Which checkpoints nobody needs any more. Pure; deleting is the worker's business, afterwards."""

from collections.abc import Iterable

from fspop.records import Checkpoint, Point, State

KEPT_PER_GENERATION = 2
"""The newest checkpoint of a live generation, and one to fall back to."""


def retirable(
    state: State, wanted: Iterable[Point] = (), budget_bytes: int | None = None
) -> list[Checkpoint]:
    """The kept checkpoints that no member, no leader and no strategy (`wanted`) can reach.

    Where the others exceed `budget_bytes`, those go too that training can do without, the oldest
    first: what generations would fall back to, and the leaders behind the best. What a member
    resumes from, what a strategy wants and the best one always stay.
    """
    needed = set(wanted) | _resumed_from(state) | {p for p in _leaders(state)[:1]}
    spare = [p for p in [*_fallbacks(state), *_leaders(state)[:0:-1]] if p not in needed]
    over = _size(state, needed | set(spare)) - (budget_bytes or 0)
    while budget_bytes is not None and over > 0 and spare:
        over -= _size(state, {spare.pop(0)})
    keep = needed | set(spare)
    return [c for c in state.kept if c.point not in keep]


def _resumed_from(state: State) -> set[Point]:
    restarts = (member.generation.restart for member in state.members)
    return {restart.point for restart in restarts if restart}


def _fallbacks(state: State) -> list[Point]:
    """What live generations fall back to where their newest checkpoint is damaged, oldest first."""
    spare = [
        checkpoint
        for member in state.members
        for checkpoint in member.generation.checkpoints[-KEPT_PER_GENERATION:-1]
    ]
    return [c.point for c in sorted(spare, key=lambda c: (c.step, c.generation))]


def _leaders(state: State) -> list[Point]:
    return [leader.checkpoint.point for leader in state.leaders if leader.checkpoint]


def _size(state: State, points: set[Point]) -> int:
    return sum(c.size_bytes for c in state.kept if c.point in points)
