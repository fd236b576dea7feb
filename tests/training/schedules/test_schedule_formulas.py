"""Every schedule against its formula, written a second time, also after a resume."""

import math

import pytest
import torch

from fspop.training.schedules import SCHEDULES, make_schedule

LOW, HIGH, S = 1e-4, 1e-2, 1000
RANGE = {"lr_min": LOW, "lr_max": HIGH}
CYCLE = {**RANGE, "stepsize": S}
POINTS = [0, 1, 2, 250, 500, 999, 1000, 1500, 2000, 2001, 2500, 3000, 3999, 4000, 5000, 12_345]


def tri(j):
    """The wave by its own definition: distance to the nearest valley, in stepsizes."""
    place = j % (2 * S)
    return 0.0 if j < 1 else min(place, 2 * S - place) / S


def cycle(j):
    return j // (2 * S) + 1


def cosine(high, low, fraction):
    return low + (high - low) * (1 + math.cos(math.pi * fraction)) / 2


FORMULAS = {
    "Step": (
        dict(**RANGE, lr_decay=0.5, lr_decay_every=1000),
        lambda i: max(LOW, HIGH * 0.5 ** (i // 1000)),
    ),
    "LinearDecay": (
        dict(**RANGE, num_iters=4000),
        lambda i: HIGH + (LOW - HIGH) * min(i, 4000) / 4000,
    ),
    "LogDecay": (
        dict(**RANGE, num_iter=4000),
        lambda i: 10 ** (-2 - 2 * min(i, 4000) / 4000),
    ),
    "ExponentialDecay": (dict(lr_max=HIGH, k=1e-3), lambda i: HIGH * math.exp(-i / 1000)),
    "WarmRestart": (CYCLE, lambda i: cosine(HIGH, LOW, (i % 2000) / 2000)),
    "CosineOneCycle": (
        dict(**RANGE, num_iters=5000, warmup=0.2),
        lambda i: (
            cosine(LOW, HIGH, i / 1000)
            if i < 1000
            else cosine(HIGH, LOW, min(1, (i - 1000) / 4000))
        ),
    ),
    "Triangular": (CYCLE, lambda i: LOW + (HIGH - LOW) * tri(i)),
    "InvTriangular": (CYCLE, lambda i: HIGH - (HIGH - LOW) * tri(i)),
    "Triangular2": (CYCLE, lambda i: LOW + (HIGH - LOW) * tri(i) / 2 ** (cycle(i) - 1)),
    "TriangularExp": (
        dict(**CYCLE, k=1e-4),
        lambda i: (LOW + (HIGH - LOW) * tri(i)) * math.exp(-i / 10_000),
    ),
    "Triangular2Exp": (
        dict(**CYCLE, k=1e-4),
        lambda i: (LOW + (HIGH - LOW) * tri(i) / 2 ** (cycle(i) - 1)) * math.exp(-i / 10_000),
    ),
    "EpochSet": (
        dict(values={0: 0.1, 3: 0.5, 7: 0.2}),
        lambda e: 0.1 * (0.5 if e >= 3 else 1) * (0.2 if e >= 7 else 1),
    ),
    "DecayWhenEpoch": (
        dict(initial=0.02, num_epochs=8, lr_decay=0.9),
        lambda e: 0.02 * 0.9 ** (e // 8),
    ),
    "DecayToEpoch": (
        dict(initial=3e-4, final=1e-5, non_decay_time=5, decay_length=40),
        lambda e: max(1e-5, 3e-4 - 2.9e-4 * max(0, e - 5) / 40),
    ),
    "DecayWhenAcc": (dict(initial=0.01), lambda i: 0.01),
    "TriangularDecayWhenAcc": (CYCLE, lambda i: LOW + (HIGH - LOW) * tri(i)),
    "TorchSchedule": (
        dict(factory=lambda o: torch.optim.lr_scheduler.StepLR(o, 100, 0.9), lr=0.1),
        lambda i: 0.1 * 0.9 ** (i // 100),
    ),
}


def test_every_schedule_has_its_formula_here():
    assert FORMULAS.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_values_follow_the_formula(name):
    settings, formula = FORMULAS[name]
    schedule = make_schedule(name, **settings)
    for place in POINTS:
        assert schedule.value(place, place) == pytest.approx(formula(place), rel=1e-9), place


@pytest.mark.parametrize("name", FORMULAS)
def test_a_schedule_resumed_in_the_middle_goes_on_as_if_nothing_had_happened(
    name, through_a_checkpoint
):
    settings, _ = FORMULAS[name]
    straight, before = make_schedule(name, **settings), make_schedule(name, **settings)
    for schedule in (straight, before):
        schedule.observe(accuracy=0.9, loss=1.0)
        schedule.value(1500, 1500)
        schedule.observe(accuracy=0.1, loss=2.0)
    before.rebase(0.3)
    resumed = make_schedule(name, **settings)
    resumed.load_state_dict(through_a_checkpoint(before.state_dict()))
    straight.rebase(0.3)
    for schedule in (straight, resumed):
        schedule.observe(accuracy=0.05, loss=3.0)
    for place in POINTS:
        assert resumed.value(place, place) == straight.value(place, place)
    assert resumed.state_dict() == straight.state_dict()


@pytest.mark.parametrize("name", FORMULAS)
def test_rebasing_scales_the_curve_so_that_its_peak_is_what_was_assigned(name):
    settings, formula = FORMULAS[name]
    schedule = make_schedule(name, **settings)
    for peak in (5.0, 0.0, 0.03):
        schedule.rebase(peak)
        scale = peak / schedule.peak
        for place in POINTS:
            assert schedule.value(place, place) == pytest.approx(formula(place) * scale, rel=1e-9)
        assert schedule.base == peak


@pytest.mark.parametrize("name", FORMULAS)
def test_an_unscaled_schedule_begins_at_a_float_and_never_passes_its_peak(name):
    schedule = make_schedule(name, **FORMULAS[name][0])
    values = [schedule.value(place, place) for place in range(0, 5000, 7)]
    assert all(type(value) is float and 0 <= value <= schedule.peak for value in values)
