"""Whether a curve has stopped rising, through its noise."""

import math
import statistics
from collections.abc import Sequence

STALE = 3
"""So many values without a new best are a plateau."""

WINDOW = 15
"""Over so many values the curve has to gain one of its standard deviations."""

LENGTH = 3.0
NOISE = 0.1


def has_flattened(curve: Sequence[float]) -> bool:
    """Whether the curve (higher is better) brought no new best for 3 values, or gained less than
    one standard deviation in 15.

    Both on the z-scored curve, smoothed by a Gaussian process. Up to 3 values it never has.
    """
    if len(curve) <= STALE:
        return False
    spread = statistics.pstdev(curve)
    if spread == 0:
        return True
    mean = statistics.fmean(curve)
    smooth = smoothed([(value - mean) / spread for value in curve])
    best = max(range(len(smooth)), key=lambda i: smooth[i])
    stale = len(smooth) - 1 - best >= STALE
    return stale or (len(smooth) > WINDOW and smooth[-1] - smooth[-1 - WINDOW] < 1)


def smoothed(curve: Sequence[float]) -> list[float]:
    """The posterior mean at the values' own places, under a squared exponential kernel."""
    n = len(curve)
    kernel = [[math.exp(-(((i - j) / LENGTH) ** 2) / 2) for j in range(n)] for i in range(n)]
    noisy = [[kernel[i][j] + NOISE * (i == j) for j in range(n)] for i in range(n)]
    weights = solved(noisy, list(curve))
    return [sum(k * w for k, w in zip(row, weights, strict=True)) for row in kernel]


def solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """x where matrix @ x = right, for a symmetric positive definite matrix; both are used up."""
    n = len(right)
    for i in range(n):
        for j in range(i + 1, n):
            factor = matrix[j][i] / matrix[i][i]
            if factor:
                matrix[j] = [a - factor * b for a, b in zip(matrix[j], matrix[i], strict=True)]
                right[j] -= factor * right[i]
    for i in reversed(range(n)):
        above = sum(matrix[i][j] * right[j] for j in range(i + 1, n))
        right[i] = (right[i] - above) / matrix[i][i]
    return right
