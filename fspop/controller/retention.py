"""Which checkpoints nobody can need any more. Pure; deleting is the worker's business,
afterwards.
"""

from collections.abc import Iterable

from fspop.records import Checkpoint, Point, State

KEPT_PER_GENERATION = 2
"""The newest checkpoint of a live generation, and one to fall back to."""


def retirable(state: State, wanted: Iterable[Point] = ()) -> list[Checkpoint]:
    """The kept checkpoints that no member, no best and no strategy (`wanted`) can reach."""
    needed = set(wanted)
    for member in state.members:
        generation = member.generation
        needed.update(c.point for c in generation.checkpoints[-KEPT_PER_GENERATION:])
        if generation.origin and not generation.checkpoints:
            needed.add(generation.origin.point)
    if state.best and state.best.checkpoint:
        needed.add(state.best.checkpoint.point)
    return [c for c in state.kept if c.point not in needed]
