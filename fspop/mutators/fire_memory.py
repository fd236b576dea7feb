"""Learning curves in a strategy's state: a piece of text for each report (for FIRE)."""

from fspop.mutators.base import MutatorState, View
from fspop.records import is_number

CURVE = "curve"
"""The metric that holds the scores since the last report, one per step, oldest first."""

MAX_POINTS = 4096
"""How many of a curve's newest scores are remembered."""


def with_scores(state: MutatorState, view: View) -> MutatorState:
    """The state with the reported piece of a curve; the oldest pieces go where it gets too long."""
    report = view.report
    if view.reported is None or report is None or report.diverged or report.value is None:
        return state
    if report.generation != view.members[view.reported].generation:
        return state
    given = report.metrics.get(CURVE)
    piece = [v for v in given if is_number(v)] if isinstance(given, list) else []
    text = ",".join(repr(float(v)) for v in piece[-MAX_POINTS:] or [report.value])
    pieces = {**state["curves"].get(str(view.reported), {}), str(report.step): text}
    steps = sorted(pieces, key=int)
    while len(steps) > 1 and sum(pieces[at].count(",") + 1 for at in steps) > MAX_POINTS:
        del pieces[steps.pop(0)]
    return {**state, "curves": {**state["curves"], str(view.reported): pieces}}


def numbers(text: str | dict[str, str]) -> list[float]:
    """A piece, or the pieces of a curve by step, as numbers, oldest first."""
    if isinstance(text, dict):
        return [v for at in sorted(text, key=int) for v in numbers(text[at])]
    return [float(v) for v in text.split(",") if v]
