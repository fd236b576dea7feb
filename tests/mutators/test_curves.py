from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fspop.mutators.curves import POINTS, up_to, value_at, with_point


def test_a_curve_stays_small_and_covers_the_whole_run():
    curve = {}
    for step in range(0, 100_000, 100):
        before = dict(curve)
        curve = with_point(curve, step, float(step))
        assert len(before.keys() ^ curve.keys()) <= 3
    steps = sorted(map(int, curve))
    assert len(steps) == POINTS and steps[0] == 0 and steps[-1] == 99_900
    assert max(b - a for a, b in pairwise(steps)) < 100_000 / POINTS * 4


@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True))
def test_points_that_arrive_late_keep_their_place(steps):
    curve = {}
    for step in steps:
        curve = with_point(curve, step, float(step))
    assert value_at(curve, None) == max(steps)
    assert len(curve) == min(len(steps), POINTS)
    assert all(float(step) == value for step, value in curve.items())


def test_a_value_is_the_newest_one_that_is_old_enough():
    curve = {"5": 0.5, "10": 1.0, "100": 9.0}
    assert [value_at(curve, step) for step in (4, 5, 99, None)] == [None, 0.5, 1.0, 9.0]
    assert up_to(curve, 10) == {"5": 0.5, "10": 1.0} and value_at({}, None) is None
