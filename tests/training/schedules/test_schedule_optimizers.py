import pytest
import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from fspop.errors import InvalidSetting
from fspop.training.schedules import (
    InvTriangular,
    LinearDecay,
    get_learning_rate,
    get_momentum,
    set_learning_rate,
    set_momentum,
)


def groups():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    return [{"params": [a], "name": "stem"}, {"params": [b], "name": "head"}]


def train_a_step(optimizer):
    for group in optimizer.param_groups:
        group["params"][0].grad = torch.ones(2)
    optimizer.step()


def test_the_learning_rate_reaches_all_groups_or_the_one_named():
    optimizer = SGD(groups(), lr=0.1)
    set_learning_rate(optimizer, 0.2)
    set_learning_rate(optimizer, 0.3, "head")
    set_learning_rate(optimizer, 0.4, 0)
    assert [get_learning_rate(optimizer, g) for g in ("stem", "head")] == [0.4, 0.3]


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_momentum_reaches_every_group_and_the_next_step(kind):
    optimizer = kind(groups(), lr=0.1)
    train_a_step(optimizer)
    set_momentum(optimizer, 0.7)
    train_a_step(optimizer)
    assert [get_momentum(optimizer, g) for g in (0, 1)] == [0.7, 0.7]
    if "betas" in optimizer.param_groups[0]:
        assert optimizer.param_groups[1]["betas"] == (0.7, 0.999)


def test_settings_held_in_tensors_stay_the_same_tensors():
    rate = torch.tensor(0.1)
    optimizer = Adam([torch.ones(2, requires_grad=True)], lr=rate, capturable=True)
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25


def test_an_optimizer_without_momentum_is_refused_by_name():
    with pytest.raises(InvalidSetting, match="Adagrad has neither momentum nor betas"):
        set_momentum(Adagrad(groups()), 0.5)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "x"])
def test_a_momentum_outside_its_range_is_refused(value):
    with pytest.raises(InvalidSetting, match=r"set_momentum\.momentum: got"):
        set_momentum(SGD(groups(), lr=0.1), value)


def test_an_unknown_group_is_refused_with_the_nearest_name():
    optimizer = SGD(groups(), lr=0.1)
    with pytest.raises(InvalidSetting, match="no group named 'haed'; did you mean 'head'"):
        set_learning_rate(optimizer, 0.1, "haed")
    with pytest.raises(InvalidSetting, match="got 2, but the optimizer has 2 groups"):
        set_learning_rate(optimizer, 0.1, 2)


def test_a_schedule_applies_itself_and_keeps_its_history_over_a_resume():
    optimizer = SGD(groups(), lr=1.0, momentum=0.5)
    schedule = LinearDecay(lr_min=0.0, lr_max=1.0, num_iters=4, keep_history=True)
    for i in range(3):
        schedule.apply(optimizer, i)
    assert get_learning_rate(optimizer, 1) == 0.5
    assert schedule.history == [(0, 1.0), (1, 0.75), (2, 0.5)]
    resumed = LinearDecay(lr_min=0.0, lr_max=1.0, num_iters=4, keep_history=True)
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.history == schedule.history and resumed.history is not schedule.history


def test_a_schedule_of_momentum_leaves_the_learning_rate_alone():
    optimizer = Adam(groups(), lr=0.1)
    InvTriangular(lr_min=0.8, lr_max=0.9, stepsize=10).apply(optimizer, 10, to="momentum")
    assert get_momentum(optimizer) == pytest.approx(0.8) and get_learning_rate(optimizer) == 0.1
    with pytest.raises(InvalidSetting, match=r"apply\(to\): got 'mtm'"):
        LinearDecay().apply(optimizer, 0, to="mtm")
