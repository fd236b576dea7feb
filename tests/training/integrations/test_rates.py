"""A torch scheduler's curve after its peak was assigned: that of one made with the new peak."""

import pytest
import torch
from torch.optim import lr_scheduler as lrs

from fspop.errors import HparamsNotApplied
from fspop.training.integrations.rates import scheduled_rates

N_STEPS, OLD, NEW = 12, 0.1, 0.025
MAKERS = {
    "step": lambda o, lr: lrs.StepLR(o, 3, 0.5),
    "multi": lambda o, lr: lrs.MultiStepLR(o, [2, 7]),
    "exponential": lambda o, lr: lrs.ExponentialLR(o, 0.9),
    "lambda": lambda o, lr: lrs.LambdaLR(o, lambda step: min(1.0, (step + 1) / 8)),
    "linear": lambda o, lr: lrs.LinearLR(o, 0.1, total_iters=9),
    "polynomial": lambda o, lr: lrs.PolynomialLR(o, 10, 2.0),
    "cosine": lambda o, lr: lrs.CosineAnnealingLR(o, 10, eta_min=lr / 20),
    "restarts": lambda o, lr: lrs.CosineAnnealingWarmRestarts(o, 4, eta_min=lr / 20),
    "one cycle": lambda o, lr: lrs.OneCycleLR(o, lr, total_steps=20, cycle_momentum=False),
    "cyclic": lambda o, lr: lrs.CyclicLR(o, lr / 10, lr, 4, cycle_momentum=False),
    "sequential": lambda o, lr: lrs.SequentialLR(
        o, [lrs.ConstantLR(o, 0.2, 4), lrs.CosineAnnealingLR(o, 9)], [4]
    ),
    "chained": lambda o, lr: lrs.ChainedScheduler([lrs.ConstantLR(o, 0.2, 4), lrs.StepLR(o, 3)]),
}


def made(kind, lr):
    parameters = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}]
    optimizer = torch.optim.SGD(parameters, lr=lr)
    return optimizer, MAKERS[kind](optimizer, lr)


def curve(optimizer, scheduler, n_steps):
    seen = []
    for _ in range(n_steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("moment", [0, 5])
@pytest.mark.parametrize("kind", MAKERS)
def test_the_curve_goes_on_as_one_with_the_new_peak(kind, moment):
    wanted = curve(*made(kind, NEW), N_STEPS)[moment:]
    optimizer, scheduler = made(kind, OLD)
    curve(optimizer, scheduler, moment)
    rates = scheduled_rates(optimizer, [scheduler])
    for rate in rates:
        rate.set(NEW)
    assert [rate.get() for rate in rates] == [NEW, NEW]
    for found, right in zip(curve(optimizer, scheduler, N_STEPS - moment), wanted, strict=True):
        assert found == pytest.approx(right, rel=1e-9)
    assert [rate.get() for rate in rates] == [NEW, NEW]


@pytest.mark.parametrize("kind", MAKERS)
def test_assigning_the_same_peak_changes_no_bit(kind):
    optimizer, scheduler = made(kind, OLD)
    curve(optimizer, scheduler, 5)
    before = [group["lr"] for group in optimizer.param_groups]
    for rate in scheduled_rates(optimizer, [scheduler]):
        rate.set(OLD)
    assert [group["lr"] for group in optimizer.param_groups] == before


def test_a_rate_that_does_not_follow_its_schedule_shows_what_it_is():
    optimizer, scheduler = made("step", OLD)
    first, second = scheduled_rates(optimizer, [scheduler])
    optimizer.param_groups[1]["lr"] = 7.0
    assert (first.get(), second.get()) == (OLD, 7.0)


def test_a_plateau_that_was_reached_is_kept_when_training_goes_on_with_the_same_peak():
    optimizer, _ = made("step", OLD)
    plateau = lrs.ReduceLROnPlateau(optimizer, patience=0)
    scheduled_rates(optimizer, [plateau])[0].set(OLD)
    for loss in (1.0, 2.0, 3.0):
        plateau.step(loss)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(OLD / 100)
    scheduled_rates(optimizer, [plateau])[0].set(OLD)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(OLD / 100)
    scheduled_rates(optimizer, [plateau])[0].set(OLD * 2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(OLD / 50)


def test_a_scheduler_of_another_optimizer_drives_nothing_here():
    optimizer, _ = made("step", OLD)
    assert scheduled_rates(optimizer, [made("step", OLD)[1]]) == []


def test_a_peak_of_zero_cannot_be_scaled():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.0)
    (rate,) = scheduled_rates(optimizer, [lrs.StepLR(optimizer, 3)])
    with pytest.raises(HparamsNotApplied, match="peak is 0"):
        rate.set(0.1)
