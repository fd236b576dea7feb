"""Non-dominated sorting and the order within a front (NSGA-II, Deb et al. 2002, IEEE TEVC 6(2)).

A vector is [violation, cost, cost, …]: lower is better, violation 0 is feasible.
"""

import math
from collections.abc import Sequence

from fspop.objectives.hypervolume import contributions

Vector = Sequence[float]
RANKINGS = ("crowding", "hypervolume")
MARGIN = 0.1
"""How far beyond the worst values of a front its own reference point lies, of their range."""


def dominates(a: Vector, b: Vector) -> bool:
    """Whether `a` is better by constrained domination.

    The smaller violation wins; at equal ones `a` must be nowhere worse and somewhere better.
    """
    if a[0] != b[0]:
        return a[0] < b[0]
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def fronts(vectors: Sequence[Vector]) -> list[list[int]]:
    """The places of the vectors in fronts: the first is dominated by none, the next only by it, …

    By sequential search over sorted vectors (Zhang et al. 2015, IEEE TEVC 19(2)): a later one never
    dominates an earlier one, so each only looks for a front where nobody dominates it.
    """
    found: list[list[int]] = []
    for i in sorted(range(len(vectors)), key=lambda i: (*vectors[i], i)):
        for front in found:
            if not any(dominates(vectors[j], vectors[i]) for j in reversed(front)):
                front.append(i)
                break
        else:
            found.append([i])
    return found


def crowding(costs: Sequence[Vector]) -> list[float]:
    """The crowding distance of each: infinite at the ends of a dimension, 0 for a repeated one."""
    found = [0.0] * len(costs)
    first = list({tuple(vector): i for i, vector in reversed(list(enumerate(costs)))}.values())
    for d in range(len(costs[0]) if costs else 0):
        line = sorted(first, key=lambda i: (costs[i][d], i))
        width = costs[line[-1]][d] - costs[line[0]][d]
        if width <= 0:
            continue
        found[line[0]] = found[line[-1]] = math.inf
        for before, i, after in zip(line, line[1:], line[2:], strict=False):
            found[i] += (costs[after][d] - costs[before][d]) / width
    return found


def order(vectors: Sequence[Vector], ranking: str, reference: Vector | None = None) -> list[int]:
    """The places of the vectors, best first: by front, then by what each one adds to its front.

    ranking: "crowding", or "hypervolume": the volume a vector alone dominates, below `reference`, a
    list of costs (Beume et al. 2007, EJOR 181(3)). Without one it lies somewhat beyond the worst of
    the front, and the best of each cost stand first. Ties go to the lowest place.
    """
    found: list[int] = []
    for front in fronts(vectors):
        worth = _worth([vectors[i][1:] for i in front], ranking, reference)
        by_place = dict(zip(front, worth, strict=True))
        found += sorted(front, key=lambda i: (-by_place[i], i))
    return found


def _worth(costs: list[Vector], ranking: str, reference: Vector | None) -> list[float]:
    if ranking == "crowding" or len(costs) < 2:
        return crowding(costs)
    worth = contributions(costs, reference or _beyond(costs))
    for d in range(len(costs[0])) if reference is None else ():
        worth[min(range(len(costs)), key=lambda i: (costs[i][d], -worth[i], i))] = math.inf
    return worth


def _beyond(costs: Sequence[Vector]) -> list[float]:
    """A reference point a little worse than the worst of each cost."""
    spans = [(min(column), max(column)) for column in zip(*costs, strict=True)]
    return [high + MARGIN * ((high - low) or 1.0) for low, high in spans]
