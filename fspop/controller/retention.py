"""Which checkpoints nobody needs any more. Pure; deleting is the worker's business, afterwards."""

from collections.abc import Iterable

from fspop.records import Checkpoint, Generation, Point, State


def retirable(
    state: State, wanted: Iterable[Point] = (), budget_bytes: int | None = None
) -> list[Checkpoint]:
    """The kept checkpoints that no member, no leader and no strategy (`wanted`) can reach.

    Where the others exceed `budget_bytes`, those go too that training can do without, the oldest
    first: what generations would fall back to, and the leaders behind the best. What a member
    resumes from, what a strategy wants, the best one and the Pareto front always stay.
    """
    front = {best.checkpoint.point for best in state.front if best.checkpoint}
    needed = set(wanted) | _resumed_from(state) | {p for p in _leaders(state)[:1]} | front
    spare = [p for p in [*_fallbacks(state), *_leaders(state)[:0:-1]] if p not in needed]
    if budget_bytes is not None:
        over = _size(state, needed | set(spare)) - budget_bytes
        while over > 0 and spare:
            over -= _size(state, {spare.pop(0)})
    keep = needed | set(spare)
    return [c for c in state.kept if c.point not in keep]


def _resumed_from(state: State) -> set[Point]:
    restarts = (member.generation.restart for member in state.members)
    return {restart.point for restart in restarts if restart}


def _fallbacks(state: State) -> list[Point]:
    """What live generations fall back to where the one they go on from is damaged, oldest first."""
    spare = [_chain(member.generation)[-2:-1] for member in state.members]
    return [c.point for found in sorted(spare, key=_age) for c in found]


def _age(found: list[Checkpoint]) -> tuple[int, str]:
    return (found[0].step, found[0].generation) if found else (0, "")


def _chain(generation: Generation) -> list[Checkpoint]:
    """What a generation may go on from, the best choice last."""
    return [c for c in (generation.fallback, generation.origin) if c] + generation.checkpoints


def fallback_of(state: State, origin: Checkpoint | None) -> Checkpoint | None:
    """What a child of `origin` would start from without it."""
    if origin is None:
        return None
    for member in state.members:
        if member.generation.id == origin.generation:
            chain = [c for c in _chain(member.generation) if c.step <= origin.step and c != origin]
            return chain[-1] if chain else None
    return None


def _leaders(state: State) -> list[Point]:
    return [leader.checkpoint.point for leader in state.leaders if leader.checkpoint]


def _size(state: State, points: set[Point]) -> int:
    return sum(c.size_bytes for c in state.kept if c.point in points)
