"""Comparing the learning curves of members that stand at different scores (for FIRE)."""

import itertools
import math
from collections.abc import Sequence

SHIFTS = 10
"""How many downward shifts are tried where one curve is wholly above the other."""

Curve = Sequence[float]


def overlap(a: Curve, b: Curve) -> tuple[Curve, Curve]:
    """The parts of both curves from the score on that both have passed, equally long.

    It starts where the lower-starting curve first reaches the other's first value, and lasts as
    long as the shorter rest. Both empty where it never does. Higher is better.
    """
    if not a or not b:
        return [], []
    if a[0] > b[0]:
        lower, higher = overlap(b, a)
        return higher, lower
    begins = next((i for i, value in enumerate(a) if value >= b[0]), None)
    if begins is None:
        return [], []
    length = min(len(a) - begins, len(b))
    return a[begins : begins + length], b[:length]


def best_score_difference(a: Curve, b: Curve) -> float:
    """How much better `a` gets than `b` over their overlap; below 0 where `b` is the better one.

    Where one curve is wholly above the other it is shifted down in ten steps until it begins with
    the other; the largest difference counts, at least 0 for the higher one.
    """
    if not a or not b:
        return 0.0
    if a[0] < b[0]:
        return -best_score_difference(b, a)
    mine, theirs = overlap(a, b)
    if mine:
        return max(mine) - max(theirs)
    highest, lowest = max(b), b[0]
    found = [0.0]
    for i in range(SHIFTS):
        begin = highest - (highest - lowest) * i / (SHIFTS - 1)
        shifted = [value - a[0] + begin for value in a]
        mine, theirs = overlap(shifted, b)
        if mine:
            found.append(max(mine) - max(theirs))
    return max(found)


def p_above(a: Curve, b: Curve) -> float:
    """The one-sided p-value of a sign test that `a` is above `b` at the same place; 1 for none."""
    n, above = len(a), sum(x > y for x, y in zip(a, b, strict=True))
    if n > 1000:  # the normal approximation: exact sums of large binomials are slow
        return math.erfc((above - 0.5 - n / 2) / math.sqrt(n / 4) / math.sqrt(2)) / 2
    return float(sum(math.comb(n, k) for k in range(above, n + 1)) / 2**n)


def smoothed(curve: Curve, window: int) -> Curve:
    """The mean of the last `window` values at each place; fewer at the beginning."""
    if window == 1:
        return curve
    sums = [0.0, *itertools.accumulate(curve)]
    return [
        (sums[i + 1] - sums[max(0, i + 1 - window)]) / min(i + 1, window) for i in range(len(curve))
    ]
