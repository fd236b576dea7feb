"""Ranks scores, for every strategy alike."""

import math
from collections.abc import Mapping

from fspop.errors import InvalidSetting

Scores = Mapping[int, float | None]


def rank(scores: Scores, mode: str) -> list[int]:
    """The members with a finite score, best first under `mode`; ties go to the lowest member.

    None and non-finite scores are dropped (`unranked` lists them), so an empty answer means that
    nobody can win. Raises InvalidSetting for a mode other than min and max.
    """
    if mode not in ("min", "max"):
        raise InvalidSetting(f'mode: got {mode!r}, but it must be "min" or "max"')
    sign = 1 if mode == "min" else -1
    finite = {member: score for member, score in scores.items() if _counts(score)}
    return sorted(finite, key=lambda member: (sign * (finite[member] or 0.0), member))


def unranked(scores: Scores) -> list[int]:
    """The members that `rank` drops, ascending: they stand behind all others, in no order."""
    return sorted(member for member, score in scores.items() if not _counts(score))


def _counts(score: float | None) -> bool:
    return score is not None and math.isfinite(score)
