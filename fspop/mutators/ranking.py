"""Ranks scores, for every strategy alike."""

import math
from collections.abc import Mapping

from fspop.errors import InvalidSetting
from fspop.objectives import Goal, Score, order

Scores = Mapping[int, Score | None]


def rank(scores: Scores, by: str | Goal) -> list[int]:
    """The members with a finite score, best first; ties go to the lowest member.

    by: min or max, or the run's goal. Vectors are ranked by front, then by what each adds to its
    front (`Goal.ranking`). None and non-finite scores are dropped (`unranked` lists them), so an
    empty answer means that nobody can win. Raises InvalidSetting for a mode other than min and max.
    """
    mode = by if isinstance(by, str) else by.mode
    if mode not in ("min", "max"):
        raise InvalidSetting(f'mode: got {mode!r}, but it must be "min" or "max"')
    counted = {member: score for member, score in scores.items() if _counts(score)}
    vectors = {member: score for member, score in counted.items() if isinstance(score, list)}
    if vectors and isinstance(by, Goal):
        members = sorted(vectors)
        places = order([vectors[i] for i in members], by.ranking, by.reference_costs)
        return [members[place] for place in places]
    sign = 1 if mode == "min" else -1
    finite = {m: score for m, score in counted.items() if not isinstance(score, list)}
    return sorted(finite, key=lambda member: (sign * (finite[member] or 0.0), member))


def unranked(scores: Scores) -> list[int]:
    """The members that `rank` drops, ascending: they stand behind all others, in no order."""
    return sorted(member for member, score in scores.items() if not _counts(score))


def merits(scores: Mapping[int, Score], by: Goal) -> dict[int, float]:
    """One number for each, for rules that reckon with differences; higher is better times `sign`.

    A plain score is its own. A vector's is the share of the others that it ranks above, from 0 to
    1; equal vectors share the mean.
    """
    plain = {i: score for i, score in scores.items() if not isinstance(score, list)}
    if plain:
        return plain
    behind = {i: float(n) for n, i in enumerate(reversed(rank(scores, by)))}
    groups: dict[tuple[float, ...], list[float]] = {}
    for i, score in scores.items():
        groups.setdefault(tuple(score) if isinstance(score, list) else (), []).append(behind[i])
    last = max(len(scores) - 1, 1)
    means = {key: sum(places) / len(places) / last for key, places in groups.items()}
    return {i: means[tuple(s) if isinstance(s, list) else ()] for i, s in scores.items()}


def mean_score(scores: list[Score]) -> Score:
    """The mean; of vectors in each dimension. Huge ones must not sum up to infinity."""
    n = len(scores)
    vectors = [score for score in scores if isinstance(score, list)]
    if vectors:
        return [sum(x / n for x in column) for column in zip(*vectors, strict=True)]
    return sum(score / n for score in scores if not isinstance(score, list))


def _counts(score: Score | None) -> bool:
    if isinstance(score, list):
        return all(map(math.isfinite, score))
    return score is not None and math.isfinite(score)
