"""The distribution of a result over seeds, in a few numbers."""

import statistics
from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some numbers of a distribution; None: not known.

    `bad` is what 5 % of the seeds fall short of, or lie beyond where less is better. `solved` is
    the share of the seeds that have a result at all.
    """

    mean: float | None = None
    median: float | None = None
    sd: float | None = None
    bad: float | None = None
    worst: float | None = None
    solved: float | None = None


def spread(values: Sequence[float | None], *, less: bool = False) -> Spread:
    """Of the results of some seeds, None where a seed has none; `less`: the smaller, the better."""
    ordered = sorted((v for v in values if v is not None), reverse=less)
    if not ordered:
        return Spread(solved=0.0)
    return Spread(
        mean=statistics.fmean(ordered),
        median=statistics.median(ordered),
        sd=statistics.stdev(ordered) if len(ordered) > 1 else None,
        bad=ordered[int(0.05 * (len(ordered) - 1))],
        worst=ordered[0],
        solved=len(ordered) / len(values),
    )
