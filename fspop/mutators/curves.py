"""Scores over steps in a strategy's state: bounded, so that it does not grow with the run."""

from fspop.objectives import Score

Curve = dict[str, Score]
"""Scores by step; the steps are strings because a state has string keys."""

POINTS = 32


def with_point(curve: Curve, step: int, value: Score) -> Curve:
    """The curve with one more point, thinned to `POINTS`; `curve` is not modified.

    What goes is the point whose neighbours are closest together, never the first or the last: so
    the points stay spread over the whole run, and one report changes at most two of them.
    """
    points = {**curve, str(step): value}
    if len(points) <= POINTS:
        return points
    steps = sorted(map(int, points))
    inner = range(1, len(steps) - 1)
    crowded = min(inner, key=lambda i: (steps[i + 1] - steps[i - 1], steps[i]))
    del points[str(steps[crowded])]
    return points


def up_to(curve: Curve, step: int) -> Curve:
    """The points at `step` and before."""
    return {at: value for at, value in curve.items() if int(at) <= step}


def value_at(curve: Curve, step: int | None) -> Score | None:
    """The newest value at `step` or before, None: of all; None where there is none."""
    reached = [int(at) for at in curve if step is None or int(at) <= step]
    return curve[str(max(reached))] if reached else None
