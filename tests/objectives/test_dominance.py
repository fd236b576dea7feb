import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.objectives import crowding, dominates, fronts, order
from fspop.objectives.dominance import RANKINGS

VECTORS = st.lists(
    st.builds(
        lambda v, a, b: [v, a, b], st.sampled_from([0, 0, 0, 1, 2]), *[st.integers(0, 5)] * 2
    ),
    max_size=14,
)


def better(a, b):
    """Constrained domination in the words of the paper."""
    if a[0] == 0 and b[0] > 0:
        return True
    if a[0] > 0 or b[0] > 0:
        return a[0] < b[0] or (a[0] == b[0] and nowhere_worse(a, b))
    return nowhere_worse(a, b)


def nowhere_worse(a, b):
    return a[1] <= b[1] and a[2] <= b[2] and (a[1] < b[1] or a[2] < b[2])


def peeled(vectors):
    """Fronts by definition: what nobody left dominates, again and again."""
    left, found = set(range(len(vectors))), []
    while left:
        first = {i for i in left if not any(better(vectors[j], vectors[i]) for j in left)}
        found.append(sorted(first))
        left -= first
    return found


@given(VECTORS)
def test_fronts_are_those_of_the_definition(vectors):
    assert [sorted(front) for front in fronts(vectors)] == peeled(vectors)
    assert all(dominates(a, b) == better(a, b) for a in vectors for b in vectors)


@pytest.mark.parametrize("ranking", RANKINGS)
@settings(deadline=None)
@given(vectors=VECTORS)
def test_no_one_stands_before_one_that_dominates_it(ranking, vectors):
    found = order(vectors, ranking)
    assert sorted(found) == list(range(len(vectors)))
    for later, i in enumerate(found):
        assert not any(better(vectors[i], vectors[j]) for j in found[:later])


def test_infeasible_ones_stand_behind_by_the_amount_of_their_violation():
    vectors = [[2.0, 0.0, 0.0], [0.0, 9.0, 9.0], [0.5, 0.0, 0.0], [0.0, 8.0, 8.0]]
    assert order(vectors, "crowding") == [3, 1, 2, 0]


def test_crowding_distances_are_those_of_the_paper():
    costs = [(0.0, 4.0), (1.0, 3.0), (3.0, 1.0), (4.0, 0.0)]
    assert crowding(costs) == [math.inf, 3 / 4 + 3 / 4, 3 / 4 + 3 / 4, math.inf]
    assert crowding([(0.0, 1.0), (0.0, 1.0), (1.0, 0.0)]) == [math.inf, 0.0, math.inf]
    assert crowding([]) == [] and crowding([(1.0, 1.0)]) == [0.0]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_the_lonely_one_of_a_front_stands_before_the_crowded_one(ranking):
    front = [[0, 0.0, 10.0], [0, 4.9, 5.1], [0, 5.0, 5.0], [0, 10.0, 0.0], [0, 7.5, 2.6]]
    assert order(front, ranking).index(4) < order(front, ranking).index(2)


def test_equal_vectors_keep_their_order_and_repeated_ones_come_last():
    assert order([[0, 1.0, 1.0]] * 3, "crowding") == [0, 1, 2]
    assert order([[0, 0.0, 1.0], [0, 0.0, 1.0], [0, 1.0, 0.0]], "crowding") == [0, 2, 1]


def test_a_thousand_vectors_are_ordered_in_time():
    rng = random.Random(0)
    vectors = [[0.0, rng.random(), rng.random(), rng.random()] for _ in range(1000)]
    assert len(order(vectors, "crowding")) == 1000
    assert len(fronts([[0.0, float(i), float(-i)] for i in range(1000)])) == 1
