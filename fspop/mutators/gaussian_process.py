"""A time-varying Gaussian process of bounded cost: fitted by a small search, without scipy.

The only module of the strategies that uses numpy; imported at the first proposal.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIT_ROWS = 80
"""How many of the newest rows the kernel is fitted on; predictions use all."""

LENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FORGETTING = (0.01, 0.05, 0.1, 0.2, 0.4)
NOISE = (0.01, 0.03, 0.1, 0.3, 1.0)
MIX = 0.5
"""The share of the product in the kernel of numbers and categories; the rest is their sum."""


class Points(NamedTuple):
    """Places: `numbers` (n, d) in [0, 1], `categories` (n, c) as indices, `times` (n,) in
    intervals.
    """

    numbers: Array
    categories: Array
    times: Array

    def last(self, n: int) -> "Points":
        """The newest `n`."""
        return Points(*(part[-n:] for part in self))

    def joined(self, other: "Points") -> "Points":
        """These and those."""
        return Points(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class Kernel(NamedTuple):
    """exp(-|x - x'|^2 / length) * (1 - forgetting)^(|t - t'| / 2), and the noise beside it.

    Parker-Holder et al. 2020, arXiv:2002.02518. With categories, whose kernel is the share of equal
    ones, the two are mixed (2021, arXiv:2106.15883).
    """

    length: float = 1.0
    forgetting: float = 0.1
    noise: float = 0.1

    def between(self, a: Points, b: Points) -> Array:
        """The covariances, (n, m)."""
        return self.of(*distances(a, b))

    def of(self, squared: Array, equal: Array, apart: Array) -> Array:
        """The covariances at these distances."""
        numbers = np.exp(squared * (-1 / self.length))
        if equal.size:
            numbers = MIX * numbers * equal + (1 - MIX) * (numbers + equal) / 2
        return np.asarray(numbers * np.exp(apart * (0.5 * np.log1p(-self.forgetting))))


def distances(a: Points, b: Points) -> tuple[Array, Array, Array]:
    """(squared distance of the numbers, share of equal categories, distance in time), (n, m) each.

    Without categories the share is empty.
    """
    squared = np.zeros((len(a.times), len(b.times)))
    for i in range(a.numbers.shape[1]):
        squared += np.subtract.outer(a.numbers[:, i], b.numbers[:, i]) ** 2
    apart = np.abs(np.subtract.outer(a.times, b.times))
    if not a.categories.shape[1]:
        return squared, np.zeros(0), apart
    same = np.zeros_like(squared)
    for i in range(a.categories.shape[1]):
        same += np.equal.outer(a.categories[:, i], b.categories[:, i])
    return squared, same / a.categories.shape[1], apart


def fitted(points: Points, gains: Array) -> Kernel:
    """The kernel of the greatest likelihood on a grid, found coordinate by coordinate, twice."""
    points, gains = points.last(FIT_ROWS), gains[-FIT_ROWS:]
    known = distances(points, points)
    best, kernel = -np.inf, Kernel()
    for _ in range(2):
        for field, values in (("length", LENGTHS), ("forgetting", FORGETTING), ("noise", NOISE)):
            for value in values:
                tried = kernel._replace(**{field: value})
                likelihood = _log_likelihood(tried.of(*known), tried.noise, gains)
                if likelihood > best:
                    best, kernel = likelihood, tried
    return kernel


def _log_likelihood(covariance: Array, noise: float, gains: Array) -> float:
    """Up to a constant, with the overall variance at its best value."""
    n = len(gains)
    whole = np.empty((n + 1, n + 1))  # the gains in one more row come out divided by the factor
    whole[:n, :n] = covariance
    whole[n, :n] = whole[:n, n] = gains
    whole[n, n] = float(gains @ gains) / noise + 1
    whole.flat[: n * (n + 2) : n + 2] += noise + 1e-8
    factor = np.linalg.cholesky(whole)
    spread = factor[n, :n]
    variance = max(float(spread @ spread) / n, 1e-12)
    return float(-n * np.log(variance) / 2 - np.log(np.diag(factor)[:n]).sum())


class Model:
    """The posterior on rows; `pending` are places whose gain is still to come.

    They tell where it is known too much already, so they lower the deviation and leave the mean.
    """

    def __init__(self, points: Points, gains: Array, pending: Points):
        self._kernel = fitted(points, gains)
        self._all, self._n = points.joined(pending), len(gains)
        n = self._n
        covariance = self._kernel.between(self._all, self._all)
        covariance += (self._kernel.noise + 1e-8) * np.eye(len(covariance))
        self._known = np.linalg.inv(covariance)
        own, cross = self._known[:n, :n], self._known[:n, n:]
        # the inverse without the pending places, from the one with them
        self._weights = own @ gains
        if cross.shape[1]:
            self._weights -= cross @ np.linalg.solve(self._known[n:, n:], cross.T @ gains)
        self._scale = max(float(gains @ self._weights) / n, 1e-12)

    def upper_bound(self, at: Points) -> Array:
        """Mean and so many deviations more, (m,): what the most promising place is greatest in."""
        n = self._n
        beta = 0.2 + max(0.0, float(np.log(0.4 * n)))
        near = self._kernel.between(at, self._all)
        mean = near[:, :n] @ self._weights
        explained = ((near @ self._known) * near).sum(axis=1)
        deviation = np.sqrt(np.maximum(1 - explained, 0.0) * self._scale)
        return np.asarray(mean + np.sqrt(beta) * deviation)
