import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.mutators.student import incomplete_beta, student_cdf, welch

# The first example of Welch's test in the usual references: t = -2.46, 25.0 degrees, p = 0.021.
A = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
B = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]


def test_the_known_example():
    t, p = welch(A, B)
    assert (round(t, 3), round(p, 4)) == (-2.455, 0.0214)
    assert welch(B, A) == (-t, p)


@pytest.mark.parametrize(
    ("t", "freedom", "expected"),
    [
        (0.0, 3, 0.5),
        (1.0, 1, 0.75),
        (1.0, 2, 0.5 + 1 / math.sqrt(12)),
        (2.228139, 10, 0.975),
        (-2.015048, 5, 0.05),
        (1.644854, 1e7, 0.95),
        (63.65674, 1, 0.995),
        (math.inf, 4, 1.0),
    ],
)
def test_students_distribution_at_tabulated_points(t, freedom, expected):
    assert student_cdf(t, freedom) == pytest.approx(expected, abs=1e-6)


def test_the_incomplete_beta_function_where_it_is_a_polynomial():
    for x in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert incomplete_beta(1, 1, x) == pytest.approx(x)
        assert incomplete_beta(2, 3, x) == pytest.approx(6 * x**2 - 8 * x**3 + 3 * x**4)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0.001, 0.999))
def test_the_incomplete_beta_function_is_a_probability_and_symmetric(a, b, x):
    assert -1e-9 <= incomplete_beta(a, b, x) <= 1 + 1e-9
    assert incomplete_beta(a, b, x) == pytest.approx(1 - incomplete_beta(b, a, 1 - x), abs=1e-6)


def test_too_few_values_or_no_spread():
    assert welch([1.0], [5.0, 6.0]) == (0.0, 1.0)
    assert welch([2.0, 2.0], [2.0, 2.0]) == (0.0, 1.0)
    assert welch([3.0, 3.0], [2.0, 2.0]) == (math.inf, 0.0)
