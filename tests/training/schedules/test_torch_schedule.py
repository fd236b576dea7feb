"""Any torch scheduler: as torch runs it, resumed, rewound and scaled."""

import pytest
import torch
from torch.optim import SGD
from torch.optim import lr_scheduler as lrs

from fspop.errors import InvalidSetting, UsageError
from fspop.training import load_checkpoint, save_checkpoint
from fspop.training.schedules import TorchSchedule

FACTORIES = {
    "MultiStepLR": lambda o: lrs.MultiStepLR(o, [3, 3, 11], 0.5),
    "LambdaLR": lambda o: lrs.LambdaLR(o, lambda e: 0.9**e),
    "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, 13),
    "CosineAnnealingWarmRestarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 4, 2),
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, 0.1, total_steps=50),
    "CyclicLR": lambda o: lrs.CyclicLR(o, 0.01, 0.1, step_size_up=5, mode="triangular2"),
    "SequentialLR": lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, total_iters=5), lrs.ExponentialLR(o, 0.9)], [5]
    ),
    "ChainedScheduler": lambda o: lrs.ChainedScheduler(
        [lrs.ConstantLR(o, 0.1, 3), lrs.ExponentialLR(o, 0.9)]
    ),
}
everyone = pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES.keys())


def as_torch_runs_it(factory, n, key="lr"):
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    scheduler = factory(optimizer)
    values = []
    for _ in range(n):
        values.append(optimizer.param_groups[0][key])
        optimizer.step()
        scheduler.step()
    return values


@everyone
def test_values_are_those_of_torch_in_any_order(factory):
    wanted = as_torch_runs_it(factory, 40)
    schedule = TorchSchedule(factory)
    for i in [*range(40), 3, 39, 0, 20, 20]:
        assert schedule.value(i) == wanted[i]


@everyone
def test_a_resumed_one_goes_on_where_it_stood_without_replaying(factory, through_a_checkpoint):
    before, after = TorchSchedule(factory), TorchSchedule(factory)
    before.value(17)
    after.load_state_dict(through_a_checkpoint(before.state_dict()))
    assert after.position == 17
    assert [after.value(i) for i in range(17, 40)] == as_torch_runs_it(factory, 40)[17:]


def test_warm_restarts_can_step_each_epoch():
    factory = FACTORIES["CosineAnnealingWarmRestarts"]
    schedule = TorchSchedule(factory, per="epoch")
    values = [schedule.value(1000 * epoch, epoch) for epoch in range(13)]
    assert values == as_torch_runs_it(factory, 13) and values[4] == values[12] == 0.1


def test_the_momentum_that_a_scheduler_cycles_can_be_read():
    factory = FACTORIES["OneCycleLR"]
    schedule = TorchSchedule(factory, reads="momentum")
    wanted = as_torch_runs_it(factory, 40, "momentum")
    assert [schedule.value(i) for i in range(40)] == wanted and min(wanted) < 0.86


def test_an_assigned_learning_rate_scales_what_torch_says():
    factory = FACTORIES["CosineAnnealingWarmRestarts"]
    schedule = TorchSchedule(factory)
    schedule.rebase(0.5)
    wanted = [5 * value for value in as_torch_runs_it(factory, 20)]
    assert [schedule.value(i) for i in range(20)] == pytest.approx(wanted)


def plateau(mode):
    return TorchSchedule(lambda o: lrs.ReduceLROnPlateau(o, mode, factor=0.5, patience=1))


def test_reduce_on_plateau_steps_on_what_its_mode_is_about_and_resumes(through_a_checkpoint):
    for mode in ("max", "min"):
        before = plateau(mode)
        for accuracy, loss in ((0.5, 1.0), (0.4, 1.1)):
            before.observe(accuracy, loss)
        after = plateau(mode)
        after.load_state_dict(through_a_checkpoint(before.state_dict()))
        assert after.value(10) == 0.1
        after.observe(0.4, 1.1)
        assert after.value(10) == after.value(0) == 0.05


def test_reduce_on_plateau_says_which_measurement_is_missing():
    with pytest.raises(UsageError, match=r"observe: got loss=None.*mode='min'"):
        plateau("min").observe(accuracy=0.5)


@everyone
def test_its_memory_goes_through_a_checkpoint_of_a_run(factory, tmp_path):
    before = TorchSchedule(factory)
    before.value(7)
    save_checkpoint(tmp_path / "saved", before.state_dict())
    after = TorchSchedule(factory)
    after.load_state_dict(load_checkpoint(tmp_path / "saved"))
    assert [after.value(i) for i in range(7, 20)] == [before.value(i) for i in range(7, 20)]


RISING = {
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, 0.3, total_steps=20),
    "CyclicLR": lambda o: lrs.CyclicLR(o, 0.01, 0.3, step_size_up=5, mode="triangular2"),
    "CyclicLR-without-momentum": lambda o: lrs.CyclicLR(o, 0.01, 0.3, 5, cycle_momentum=False),
    "SequentialLR": lambda o: lrs.SequentialLR(
        o, [lrs.ConstantLR(o, 0.1, 5), lrs.OneCycleLR(o, 0.3, total_steps=20)], [5]
    ),
    "decay": FACTORIES["CosineAnnealingLR"],
}


@pytest.mark.parametrize("factory", RISING.values(), ids=RISING.keys())
@pytest.mark.parametrize("lr", [1e-4, 0.1])
def test_the_assigned_peak_is_that_of_the_curve_whatever_it_starts_from(factory, lr):
    schedule = TorchSchedule(factory, lr=lr)
    before = [schedule.value(i) for i in range(20)]
    assert max(before) == pytest.approx(schedule.base)
    schedule.rebase(0.05)
    after = [schedule.value(i) for i in range(20)]
    assert max(after) == pytest.approx(0.05)
    assert after == pytest.approx([value * 0.05 / max(before) for value in before])


@pytest.mark.parametrize("factory", [RISING["OneCycleLR"], RISING["CyclicLR"]])
def test_so_is_an_assigned_momentum(factory):
    schedule = TorchSchedule(factory, momentum=0.5, reads="momentum")
    schedule.rebase(0.8)
    assert max(schedule.value(i) for i in range(20)) == pytest.approx(0.8)


def rising():
    return lambda o: lrs.LambdaLR(o, lambda i: 1 + i / 10)


def test_a_scheduler_that_rises_above_its_peak_is_refused_once_a_peak_was_assigned(
    through_a_checkpoint,
):
    schedule, resumed = TorchSchedule(rising()), TorchSchedule(rising())
    assert schedule.value(10) == pytest.approx(0.2)
    schedule.rebase(0.1)
    assert schedule.value(0) == 0.1
    resumed.load_state_dict(through_a_checkpoint(schedule.state_dict()))
    for each in (schedule, resumed):
        with pytest.raises(InvalidSetting, match=r"set to 0\.1, but .* 0\.12 at iteration 2.*high"):
            each.value(2)
    resumed.load_state_dict(through_a_checkpoint(TorchSchedule(rising()).state_dict()))
    assert resumed.value(10) == pytest.approx(0.2)


def test_the_true_peak_may_be_told():
    schedule = TorchSchedule(rising(), lr=0.1, highest=0.3)
    assert schedule.value(20) == pytest.approx(0.3) and schedule.value(0) == 0.1
    schedule.rebase(0.6)
    assert schedule.value(20) == pytest.approx(0.6) and schedule.value(0) == pytest.approx(0.2)


def test_a_peak_that_an_older_checkpoint_counts_from_the_start_is_understood():
    old = TorchSchedule(RISING["OneCycleLR"], lr=0.1)
    state = {**old.state_dict(), "base": 0.1}
    del state["memory"]["moved"]
    new = TorchSchedule(RISING["OneCycleLR"], lr=0.1)
    new.load_state_dict(state)
    assert [new.value(i) for i in range(20)] == [old.value(i) for i in range(20)]


def test_what_it_started_from_is_in_its_memory(through_a_checkpoint):
    factory = FACTORIES["SequentialLR"]
    old, new = TorchSchedule(factory, lr=0.2), TorchSchedule(factory, lr=0.01)
    old.value(17)
    new.load_state_dict(through_a_checkpoint(old.state_dict()))
    assert [new.value(i) for i in [20, 3]] == [old.value(i) for i in [20, 3]]
