"""The recipe of a generation: the hparams along its line of ancestors."""

from collections.abc import Iterable

from fspop.recipe import Recipe, Segment
from fspop.records import Manifest, Record, State
from fspop.report.lineage import Ancestor, lineage


def best_recipe(manifest: Manifest, state: State, records: Iterable[Record]) -> Recipe | None:
    """What led to the best evaluation so far; None before the first that counts."""
    if state.best is None:
        return None
    best = state.best.evaluation
    line = lineage(records, best.generation)
    return _recipe(manifest, line, best.value, best.step)


def member_recipe(
    manifest: Manifest, state: State, records: Iterable[Record], member: int
) -> Recipe:
    """What led to where member `member` is now, with its newest score."""
    generation = state.members[member].generation
    scores = [e for e in generation.evaluations if e.value is not None]
    value, until = (scores[-1].value, scores[-1].step) if scores else (None, generation.step)
    return _recipe(manifest, lineage(records, generation.id), value, until)


def _recipe(manifest: Manifest, line: list[Ancestor], value: float | None, until: int) -> Recipe:
    return Recipe(
        run=manifest.run,
        generation=line[0].generation,
        mode=manifest.mode,
        value=value,
        until=until,
        segments=segments(line),
    )


def segments(line: list[Ancestor]) -> list[Segment]:
    """What was in effect from which step on, for a line that begins with the newest.

    A generation that was replaced where it began had no effect, and one with its parent's hparams
    begins no segment.
    """
    found: list[Segment] = []
    for ancestor in reversed(line):
        if found and found[-1].step == ancestor.step:
            found.pop()
        if not found or found[-1].hparams != ancestor.hparams:
            found.append(Segment(ancestor.step, ancestor.hparams))
    return found
