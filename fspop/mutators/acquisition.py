"""The search for the most promising hparams under a Gaussian process. Imported lazily: numpy."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from fspop.mutators.coordinates import Coordinates
from fspop.mutators.explore import Past
from fspop.mutators.gaussian_process import Array, Model, Points

CANDIDATES = 256
REFINEMENTS = (0.1, 0.03, 0.01)
"""Around the best candidate, this wide, new ones are tried."""

ABSENT = 0.5
"""The coordinate of a number that does not exist; that it differs is told by its parent."""
ABSENT_CATEGORY = -1.0
Place = tuple[float, float, Coordinates]


def most_promising(
    here: Coordinates,
    free: Sequence[int],
    kept: Sequence[int],
    rows: Sequence[Any],
    gains: Sequence[float],
    past: Past,
    running: Sequence[Place],
    rng: random.Random,
) -> list[float | None]:
    """`here` with the coordinates at the places `free` chosen by the model; the others are kept.

    kept: the places of the categories that exist here; what does not exist is no part of the model.
    rows: [step, steps, score, gain, coordinates] each; gains: theirs, standardised.
    """
    assert past.score is not None
    interval = float(np.mean([row[1] for row in rows]))
    scores = [row[2] for row in rows] + [past.score]
    low, width = min(scores), (max(scores) - min(scores)) or 1.0

    def points(places: Sequence[Place]) -> Points:
        numbers = [[(r - low) / width, *_at(c, free, ABSENT)] for _, r, c in places]
        categories = [_at(c, kept, ABSENT_CATEGORY) for _, _, c in places]
        times = [t / interval for t, _, _ in places]
        n = len(places)
        return Points(
            np.array(numbers, float).reshape(n, len(free) + 1),
            np.array(categories, float).reshape(n, len(kept)),
            np.array(times, float),
        )

    known = points([(row[0], row[2], row[4]) for row in rows])
    model = Model(known, np.array(gains), points(running))
    context = points([(past.step, past.score, here)])

    def bound(candidates: Array) -> Array:
        n = len(candidates)
        first = np.full((n, 1), context.numbers[0, 0])
        return model.upper_bound(
            Points(
                np.concatenate([first, candidates], axis=1),
                np.repeat(context.categories, n, axis=0),
                np.repeat(context.times, n),
            )
        )

    best = _search(bound, len(free), rng)
    found = list(here)
    for i, value in zip(free, best, strict=True):
        found[i] = value
    return found


def _at(coordinates: Coordinates, places: Sequence[int], absent: float) -> list[float]:
    found = (coordinates[i] for i in places)
    return [absent if number is None else number for number in found]


def _search(bound: Any, dimensions: int, rng: random.Random) -> list[float]:
    """The place in the unit cube where `bound` is greatest, as far as samples show."""
    draws = [[rng.random() for _ in range(dimensions)] for _ in range(CANDIDATES)]
    candidates = np.array(draws)
    best = candidates[int(np.argmax(bound(candidates)))]
    for width in REFINEMENTS:
        near = [[rng.gauss(value, width) for value in best] for _ in range(CANDIDATES // 4)]
        candidates = np.clip(np.array([list(best), *near]), 0.0, 1.0)
        best = candidates[int(np.argmax(bound(candidates)))]
    return [float(value) for value in best]
