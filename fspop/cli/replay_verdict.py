"""Whether the schedule or the luck of selection made a score. Pure."""

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from fspop.mutators.student import student_cdf
from fspop.report.text import number

LUCKY = 0.05
"""An original that a replay beats less often than this was lucky."""

ROUNDING = 1e-9
"""Relative differences that mean nothing."""


class Verdict(Struct, frozen=True):
    """The original score among those of the replays.

    `rank` 1 is the best of them all. `p`: how often one more replay would be as good as the
    original, by Student's distribution; None where that cannot be said. `made_by` is schedule,
    luck or unknown.
    """

    mean: float | None
    sd: float | None
    rank: int
    of: int
    p: float | None
    made_by: str
    sentence: str


def judge(original: float, replays: Sequence[float | None], mode: str) -> Verdict:
    """The verdict on `original`; None is a replay whose score does not count."""
    sign = -1 if mode == "min" else 1
    found = [value for value in replays if value is not None]
    rank = 1 + sum(sign * value > sign * original for value in found)
    mean = statistics.fmean(found) if found else None
    sd = statistics.stdev(found) if len(found) > 1 else None
    p = _p(original, mean, sd, len(found), sign)
    made_by = _made_by(p, rank)
    sentence = _sentence(mean, sd, p, rank, len(found))
    return Verdict(mean, sd, rank, len(found) + 1, p, made_by, sentence)


def _made_by(p: float | None, rank: int) -> str:
    """An original ahead of all replays, but not so far that this is no chance, tells nothing."""
    if p is not None and p < LUCKY:
        return "luck"
    return "unknown" if p is None or (rank == 1 and p < 1) else "schedule"


def _p(original: float, mean: float | None, sd: float | None, n: int, sign: int) -> float | None:
    if mean is None or sd is None:
        return None
    ahead = sign * (original - mean)
    if _is_constant(mean, sd):
        return 0.0 if ahead > ROUNDING * abs(mean) else 1.0
    return 1 - student_cdf(ahead / (sd * math.sqrt(1 + 1 / n)), n - 1)


def _is_constant(mean: float, sd: float) -> bool:
    return sd <= ROUNDING * abs(mean)


def _sentence(mean: float | None, sd: float | None, p: float | None, rank: int, n: int) -> str:
    if mean is None:
        return "No replay has a score that counts, so the schedule alone does not lead there."
    if p is None:
        return "One replay cannot tell the schedule from luck; give --seeds 5 or more."
    again = f"trained again it gives {number(mean)} on average"
    if p < LUCKY:
        return (
            f"Selection luck made part of the score: {again}, and as good as the original less "
            f"than once in 20 (p = {p:.2g}). Expect that average of another training."
        )
    if _is_constant(mean, sd or 0.0):
        return f"The schedule made the score: each time it was trained again it gave {mean:.6g}."
    if _made_by(p, rank) == "unknown":
        return (
            f"{n} seeds cannot tell the schedule from luck: {again}, and the original is ahead of "
            f"all of them, but not by more than chance may do (p = {p:.2g}); give more --seeds."
        )
    if rank == n + 1:
        return (
            f"The schedule is better than the original shows: {again}, and each of the {n} replays "
            "is ahead of the original."
        )
    return (
        f"The schedule made the score: {again}, and the original lies within what the seed "
        f"alone changes (p = {p:.2g}, {n} seeds)."
    )
