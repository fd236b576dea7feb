import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.mutators.fire_curves import best_score_difference, overlap, p_above, smoothed

curves = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


def test_curves_overlap_from_where_the_lower_one_reaches_the_other():
    assert overlap([1, 2, 3, 4], [3, 5, 7]) == ([3, 4], [3, 5])
    assert overlap([3, 5, 7], [1, 2, 3, 4]) == ([3, 5], [3, 4])
    assert overlap([1, 2], [3, 5]) == ([], [])
    assert overlap([], [3, 5]) == ([], [])


def test_the_difference_is_between_the_best_scores_of_the_overlap():
    assert best_score_difference([1, 2, 3, 4], [3, 5, 7]) == -1
    assert best_score_difference([3, 5, 7], [1, 2, 3, 4]) == 1
    assert best_score_difference([1.0], []) == 0


def test_a_curve_that_is_wholly_above_is_shifted_down():
    steep, flat = [10.0, 12.0, 14.0], [1.0, 2.0, 3.0]
    assert best_score_difference(steep, flat) == pytest.approx(2.0)
    assert best_score_difference(flat, steep) == pytest.approx(-2.0)
    assert best_score_difference([10.0, 9.0], [1.0, 2.0]) == 0


def test_the_sign_test_is_one_sided_and_exact():
    assert p_above([2] * 7, [1] * 7) == 2**-7
    assert p_above([1] * 7, [1] * 7) == 1
    assert p_above([2, 0], [1, 1]) == 0.75
    assert p_above([], []) == 1


def test_long_curves_use_the_normal_approximation():
    a = [1.0] * 530 + [-1.0] * 471
    exact = sum(math.comb(1001, k) for k in range(530, 1002)) / 2**1001
    assert p_above(a, [0.0] * 1001) == pytest.approx(exact, rel=0.01)


def test_smoothing_averages_what_was_seen_so_far():
    assert smoothed([1.0, 3.0, 5.0], 1) == [1.0, 3.0, 5.0]
    assert smoothed([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]


@given(curves, curves)
def test_the_difference_is_antisymmetric_and_finite(a, b):
    if a[0] != b[0]:
        assert best_score_difference(a, b) == pytest.approx(-best_score_difference(b, a))
    assert math.isfinite(best_score_difference(a, b))
