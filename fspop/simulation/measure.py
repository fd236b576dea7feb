"""What a run on a toy problem reached, in memory or on disk."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from fspop.mutators import FIRE, Mutator
from fspop.problems import Problem
from fspop.records import Born, Point, Record, Reported, State, generation_id


def final_best(state: State, mutator: Mutator | None = None) -> float | None:
    """The best of the members' last scores; None where no score counts.

    FIRE's result is the best of its first sub-population: the others are at work for it.
    """
    counted = state.members[: mutator.sizes[0]] if isinstance(mutator, FIRE) else state.members
    last = [m.generation.evaluations[-1].value for m in counted if m.generation.evaluations]
    return max((value for value in last if value is not None), default=None)


def steps_to_solve(records: Iterable[Record], solved: float) -> int | None:
    """The first step at which any member's curve is above `solved`; None where none ever is."""
    found = []
    for report in (op for record in records for op in record.ops if isinstance(op, Reported)):
        curve = report.metrics.get("curve", [])
        first = next((i for i, value in enumerate(curve) if value > solved), None)
        if first is not None:
            found.append(report.step - len(curve) + first + 1)
    return min(found, default=None)


def result(
    problem: Problem, mutator: Mutator, state: State, records: Iterable[Record]
) -> float | None:
    """What counts on this problem: how soon it is solved, or the best score at the end."""
    if problem.solved is None:
        return final_best(state, mutator)
    return steps_to_solve(records, problem.solved)


class Decided(NamedTuple):
    """A generation that a decision began: with what, from where, and why."""

    generation: str
    hparams: Any
    origin: Point | None
    reason: str


def decisions(records: Iterable[Record]) -> list[Decided]:
    """All decisions of a run in the order of their generations, whoever came first."""
    born = [op for record in records for op in record.ops if isinstance(op, Born) and op.index > 1]
    found = [
        Decided(
            generation_id(b.member, b.index),
            b.hparams,
            b.origin.point if b.origin else None,
            b.reason,
        )
        for b in born
    ]
    return sorted(found, key=lambda decided: decided.generation)
