"""Hypervolume: how much of the space below a reference point is dominated. Lower is better."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

Point = Sequence[float]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The exact volume between `reference` and the points; those not below it add nothing.

    One dimension after the other is swept (Fonseca et al. 2006, CEC; Beume et al. 2009, IEEE TEVC
    13(5)): n log n in 2 and 3 dimensions, with a factor n for each more.
    """
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in inside)
    if len(reference) == 2:
        return _Staircase(reference).with_all(inside)
    inside.sort(key=lambda p: p[-1])
    heights = [*(p[-1] for p in inside), reference[-1]]
    area, below, volume = 0.0, _Staircase(reference[:2]), 0.0
    for i, p in enumerate(inside):
        if len(reference) == 3:
            area = below.add(p[0], p[1])
        else:
            area = hypervolume([q[:-1] for q in inside[: i + 1]], reference[:-1])
        volume += area * (heights[i + 1] - heights[i])
    return volume


def contributions(points: Sequence[Point], reference: Point) -> list[float]:
    """By point, the volume that it alone dominates; 0 for one that equals or is dominated."""
    whole = hypervolume(points, reference)
    without = ([*points[:i], *points[i + 1 :]] for i in range(len(points)))
    return [max(0.0, whole - hypervolume(rest, reference)) for rest in without]


class _Staircase:
    """The area that points dominate in the plane, while they come one by one."""

    def __init__(self, reference: Point):
        self._right, self._top = reference
        self._xs: list[float] = []  # ascending, and the ys descend: only what is not dominated
        self._ys: list[float] = []
        self.area = 0.0

    def with_all(self, points: Sequence[Point]) -> float:
        """The area after these."""
        for x, y in points:
            self.add(x, y)
        return self.area

    def add(self, x: float, y: float) -> float:
        """The area after one more."""
        xs, ys = self._xs, self._ys
        left = bisect_right(xs, x)
        if left and ys[left - 1] <= y:
            return self.area  # dominated
        begin = end = bisect_left(xs, x)
        top, at, gained = ys[begin - 1] if begin else self._top, x, []
        while end < len(xs) and ys[end] >= y:
            gained.append((xs[end] - at) * (top - y))
            top, at, end = ys[end], xs[end], end + 1
        gained.append(((xs[end] if end < len(xs) else self._right) - at) * (top - y))
        self.area += math.fsum(gained)
        xs[begin:end], ys[begin:end] = [x], [y]
        return self.area
