"""What the names promise: peaks, floors, restarts, the numbers that are documented."""

import pytest

from fspop.training.schedules import (
    CosineOneCycle,
    DecayToEpoch,
    EpochSet,
    InvTriangular,
    LinearDecay,
    LogDecay,
    Step,
    Triangular,
    Triangular2,
    Triangular2Exp,
    TriangularExp,
    WarmRestart,
)


def test_triangular_gives_the_documented_row():
    schedule = Triangular(lr_min=0.0001, lr_max=0.01, stepsize=1000)
    row = [schedule.value(i) for i in (0, 1, 250, 500, 1000, 1500, 2000, 3000)]
    wanted = [0.0001, 0.0001099, 0.002575, 0.00505, 0.01, 0.00505, 0.0001, 0.01]
    assert row == pytest.approx(wanted, rel=1e-12)


def test_defaults_are_those_of_the_document():
    triangular = Triangular()
    assert (triangular.lr_min, triangular.lr_max) == (1e-4, 1.0)
    assert (triangular.stepsize, triangular.start_iter) == (1000, 0)
    assert (Step().lr_decay, Step().lr_decay_every) == (0.001, 10_000)
    assert (LinearDecay().num_iters, LogDecay().num_iter) == (100_000, 50_000)
    assert (DecayToEpoch().initial, DecayToEpoch().decay_length) == (3e-4, 40)


def test_warm_restart_really_restarts():
    schedule = WarmRestart(lr_min=0.1, lr_max=1.0, stepsize=5)
    assert [schedule.value(i) for i in (0, 10, 20)] == pytest.approx([1.0] * 3)
    assert schedule.value(9) < 0.15 < 0.9 < schedule.value(10)


def test_the_peak_of_triangular2_halves_and_it_returns_to_the_floor():
    schedule = Triangular2(lr_min=0.0, lr_max=1.0, stepsize=10)
    assert [schedule.value(10 + 20 * c) for c in range(4)] == [1, 0.5, 0.25, 0.125]
    assert [schedule.value(20 * c) for c in range(4)] == [0, 0, 0, 0]


def test_triangular2_fades_without_overflow_after_thousands_of_cycles():
    assert Triangular2(lr_min=0.1, stepsize=1).value(9_999) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", [Triangular, Triangular2, TriangularExp, Triangular2Exp])
def test_cycles_hold_the_floor_until_start_iter(kind):
    schedule = kind(lr_min=0.1, lr_max=1.0, stepsize=10, start_iter=100)
    assert [schedule.value(i) for i in (0, 37, 90, 100)] == [0.1] * 4
    assert schedule.value(110) > 0.9


def test_inverse_triangular_begins_at_the_top():
    schedule = InvTriangular(lr_min=0.85, lr_max=0.95, stepsize=10, start_iter=5)
    assert [schedule.value(i) for i in (0, 5, 15, 25)] == pytest.approx([0.95, 0.95, 0.85, 0.95])


@pytest.mark.parametrize("kind", [Step, LinearDecay, LogDecay])
def test_decays_fall_and_stay_at_the_floor_exactly(kind):
    schedule = kind(lr_min=1e-3)
    values = [schedule.value(i) for i in range(0, 200_000, 500)]
    assert values == sorted(values, reverse=True) and values[0] == 1.0
    assert values[-1] == schedule.value(10**9) == 1e-3


def test_step_does_not_decay_at_the_first_iteration():
    schedule = Step(lr_decay=0.1, lr_decay_every=10)
    assert [schedule.value(i) for i in (0, 9, 10)] == pytest.approx([1.0, 1.0, 0.1])


def test_the_first_peak_of_a_rebased_decay_is_the_assigned_number_to_the_bit():
    schedule = LinearDecay(lr_max=0.3)
    for peak in (0.07, 0.1, 0.7, 1.1, 0.013):
        schedule.rebase(peak)
        assert schedule.value(0) == peak


def test_one_cycle_rises_once_and_falls_once():
    schedule = CosineOneCycle(lr_min=0.01, lr_max=1.0, num_iters=100, warmup=0.3)
    values = [schedule.value(i) for i in range(120)]
    assert values[:31] == sorted(values[:31]) and values[30] == 1.0
    assert values[30:] == sorted(values[30:], reverse=True) and values[100:] == [0.01] * 20


def test_epoch_set_can_take_values_instead_of_factors():
    schedule = EpochSet({0: 0.01, 2: 0.1, 5: 0.001}, lr_value=True)
    assert [schedule.value(0, e) for e in range(7)] == [0.01] * 2 + [0.1] * 3 + [0.001] * 2
    schedule.rebase(0.2)
    assert schedule.value(0, 2) == 0.2


def test_decay_to_epoch_waits_falls_and_stays():
    schedule = DecayToEpoch(initial=1.0, final=0.2, non_decay_time=10, decay_length=8)
    values = [schedule.value(0, e) for e in (0, 10, 14, 18, 1000)]
    assert values == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])
