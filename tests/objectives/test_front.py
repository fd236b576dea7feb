import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.objectives import Goal, front_volume, with_point
from fspop.records import Best, Evaluation

GOAL = Goal("min", {"a": "min", "b": "max"}, ["a <= 8"])


def best(step, a, b, generation="m000.g0001"):
    return Best(Evaluation(generation, step, a, {"a": a, "b": b}), {})


def pairs(front):
    return sorted((x.evaluation.metrics["a"], x.evaluation.metrics["b"]) for x in front)


def built(values, size=99, goal=GOAL):
    front = []
    for step, (a, b) in enumerate(values):
        front = with_point(front, best(step, a, b), goal, size)
    return front


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=20))
def test_the_front_is_what_nobody_dominates_in_any_order(values):
    feasible = {(a, b) for a, b in values if a <= 8}
    left = feasible or {v for v in values if v[0] == min(a for a, _ in values)}
    expected = [
        (a, b) for a, b in left if not any((c, d) != (a, b) and c <= a and d >= b for c, d in left)
    ]
    assert pairs(built(values)) == sorted(expected)


@pytest.mark.parametrize("ranking", ["crowding", "hypervolume"])
def test_a_bounded_front_keeps_its_ends_and_loses_the_crowded(ranking):
    goal = Goal("min", {"a": "min", "b": "max"}, ranking=ranking)
    rng = random.Random(0)
    values = [(float(x), float(x)) for x in range(50)]
    rng.shuffle(values)
    front = pairs(built(values, 6, goal))
    assert len(front) == 6 and front[0] == (0, 0) and front[-1] == (49, 49)
    assert max(b[0] - a[0] for a, b in itertools.pairwise(front)) <= 25


def test_of_equal_ones_the_first_stays_and_a_later_score_of_a_point_replaces_it():
    front = built([(1, 1), (1, 1)])
    assert [b.evaluation.step for b in front] == [0]
    again = with_point(front, best(0, 2, 0.5), GOAL, 99)
    assert pairs(again) == [(2, 0.5)]


def test_the_volume_needs_a_reference_and_counts_feasible_ones_only():
    goal = Goal("min", {"a": "min", "b": "max"}, ["a <= 8"], reference={"a": 10, "b": 0})
    assert front_volume(built([(2, 5)]), GOAL) is None
    assert front_volume(built([(2, 5)], goal=goal), goal) == 40.0
    assert front_volume(built([(9, 5)], goal=goal), goal) == 0.0
