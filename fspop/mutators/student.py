"""Student's distribution and Welch's t-test, in plain Python."""

import math
import statistics
from collections.abc import Sequence


def welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """(t, p) of Welch's t-test that the means differ, two-sided; `a` above `b` gives t above 0.

    Fewer than two values on a side: (0, 1). Without any spread the means either are equal or
    certainly differ. See Welch 1947, Biometrika 34.
    """
    if len(a) < 2 or len(b) < 2:
        return 0.0, 1.0
    difference = statistics.fmean(a) - statistics.fmean(b)
    parts = [statistics.variance(sample) / len(sample) for sample in (a, b)]
    spread = sum(parts)
    if spread == 0:
        return (0.0, 1.0) if difference == 0 else (math.copysign(math.inf, difference), 0.0)
    shares = [part / spread for part in parts]
    freedom = 1 / sum(share**2 / (len(s) - 1) for share, s in zip(shares, (a, b), strict=True))
    t = difference / math.sqrt(spread)
    return t, 2 * (1 - student_cdf(abs(t), freedom))


def student_cdf(t: float, freedom: float) -> float:
    """The probability of a value up to `t` under Student's distribution."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return 1 - tail if t > 0 else tail


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), a and b above 0, x from 0 to 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below this point only
        return 1 - incomplete_beta(b, a, 1 - x)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logarithm + a * math.log(x) + b * math.log1p(-x))
    return front / a / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction 1 + d1/(1 + d2/(1 + …)) (Abramowitz and Stegun 26.5.8)."""
    value = 1.0
    for m in range(200, 0, -1):  # from the inside out; 200 pairs are far beyond double precision
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1 + even / (1 + odd / value)
    return 1 - (a + b) * x / (a + 1) / value
