import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.objectives import contributions, hypervolume

GRID = 6


def points(dimensions):
    return st.lists(st.tuples(*[st.integers(0, GRID)] * dimensions), max_size=9)


def counted(found, dimensions):
    """The volume below (GRID, GRID, …) by counting unit cubes."""
    cubes = itertools.product(range(GRID), repeat=dimensions)
    return sum(
        any(all(p <= c for p, c in zip(q, cube, strict=True)) for q in found) for cube in cubes
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_volume_is_what_counting_cubes_gives(dimensions, data):
    found = data.draw(points(dimensions))
    assert hypervolume(found, [GRID] * dimensions) == counted(found, dimensions)


@settings(max_examples=60, deadline=None)
@given(found=points(3))
def test_a_contribution_is_what_only_that_point_dominates(found):
    whole = counted(found, 3)
    alone = [whole - counted([*found[:i], *found[i + 1 :]], 3) for i in range(len(found))]
    assert contributions(found, [GRID] * 3) == alone


def test_known_volumes():
    assert hypervolume([], [1, 1]) == 0
    assert hypervolume([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], [4.0, 4.0]) == 6.0
    assert hypervolume([(0.5, 0.5), (2.0, 0.0), (0.0, 1.0)], [1.0, 1.0]) == 0.25
    quarter = [
        (1 - math.cos(t), 1 - math.sin(t)) for t in (i * math.pi / 4000 for i in range(2001))
    ]
    assert hypervolume(quarter, [1.0, 1.0]) == pytest.approx(math.pi / 4, abs=1e-3)


def test_the_order_of_points_and_moving_all_of_them_change_nothing():
    rng = random.Random(0)
    found = [(rng.random(), rng.random(), rng.random()) for _ in range(40)]
    expected = hypervolume(found, [1.0, 1.0, 1.0])
    moved = [tuple(x + 3 for x in p) for p in found]
    assert hypervolume(moved, [4.0, 4.0, 4.0]) == pytest.approx(expected, rel=1e-9)
    rng.shuffle(found)
    assert hypervolume(found, [1.0, 1.0, 1.0]) == pytest.approx(expected, rel=1e-12)
