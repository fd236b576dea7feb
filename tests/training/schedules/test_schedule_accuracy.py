import pytest

from fspop.errors import InvalidSetting, UsageError
from fspop.training.schedules import DecayWhenAcc, Triangular, TriangularDecayWhenAcc


def test_the_rate_decays_at_each_accuracy_below_the_best():
    schedule = DecayWhenAcc(initial=1.0, acc_thresh=0.1, lr_decay=0.5)
    values = []
    for accuracy in (0.5, 0.46, 0.44, 0.44, 0.8, 0.73, 0.71):
        schedule.observe(accuracy)
        values.append(schedule.value(0))
    assert values == [1, 1, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_the_triangular_one_is_lower_only_while_accuracy_is_worse():
    schedule, plain = TriangularDecayWhenAcc(lr_decay=0.5), Triangular()
    schedule.observe(0.8)
    assert schedule.value(700) == plain.value(700)
    schedule.observe(0.1)
    schedule.observe(0.1)
    assert schedule.value(700) == plain.value(700) * 0.5
    schedule.observe(0.79)
    assert schedule.value(700) == plain.value(700)


def test_an_accuracy_that_is_not_finite_is_no_measurement():
    schedule = DecayWhenAcc(initial=1.0)
    for accuracy in (0.5, float("nan"), float("inf"), 0.5):
        schedule.observe(accuracy)
    assert schedule.value(0) == 1.0


def test_a_missing_or_negative_accuracy_is_an_error():
    with pytest.raises(UsageError, match=r"DecayWhenAcc\.observe: got accuracy=None"):
        DecayWhenAcc().observe()
    with pytest.raises(InvalidSetting, match=r"got -0\.5.*at least 0"):
        DecayWhenAcc().observe(-0.5)


def test_what_was_observed_before_a_resume_still_counts():
    before, after = DecayWhenAcc(initial=1.0), DecayWhenAcc(initial=1.0)
    before.observe(0.9)
    after.load_state_dict(before.state_dict())
    after.observe(0.5)
    assert after.value(0) == pytest.approx(0.9)
