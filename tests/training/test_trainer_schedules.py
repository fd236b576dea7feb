"""The schedules of a Trainer: which peak each has, and which group each drives."""

import pytest
import torch
from torch.optim import lr_scheduler

from fspop.training import Trainer
from fspop.training.schedules import TorchSchedule, Triangular
from tests.training.trainers import Net, make, points

SPLIT = {"body": ["body"], "head": ["head"]}


def groups(trainer, key="lr"):
    return [group[key] for group in trainer.optimizer.param_groups]


def without_rate(tmp_path, **options):
    """A trainer that was given no learning rate, so a ready optimizer's own counts."""
    options = {"train_dataset": points(), "verbose": False, **options}
    return Trainer(Net(), checkpoint_dir=tmp_path / "own", batch_size=8, seed=0, **options)


def falling(optimizer):
    return lr_scheduler.StepLR(optimizer, 5, gamma=0.5)


@pytest.mark.parametrize("given", ["DecayWhenEpoch", falling], ids=["name", "torch"])
def test_a_ready_optimizer_keeps_its_rate_and_momentum_as_the_peak(tmp_path, given):
    ready = lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.8)  # noqa: E731
    trainer = without_rate(tmp_path, optim_function=ready, lr_scheduler=given, mtm_scheduler=given)
    assert groups(trainer) == [0.1] and groups(trainer, "momentum") == [0.8]
    options = {"optim_function": "Adam", "optim_options": {"lr": 0.3, "betas": (0.7, 0.9)}}
    trainer = without_rate(tmp_path, **options, lr_scheduler=given, mtm_scheduler=given)
    assert groups(trainer) == [0.3] and groups(trainer, "betas") == [(0.7, 0.9)]


def own_rates(groups):
    for group, lr in zip(groups, (0.1, 0.4), strict=True):
        group["lr"] = lr
    return torch.optim.SGD(groups, lr=1.0)


@pytest.mark.parametrize("given", ["DecayWhenEpoch", falling, {"body": falling, "head": falling}])
def test_each_group_keeps_its_own_rate_as_the_peak_also_under_a_later_schedule(tmp_path, given):
    trainer = without_rate(
        tmp_path, optim_function=own_rates, param_groups=SPLIT, lr_scheduler=given
    )
    assert groups(trainer) == [0.1, 0.4]
    trainer.train(6)
    trainer.set_options(lr_scheduler="CosineOneCycle")
    trainer.set_options(lr_scheduler="DecayWhenEpoch")
    assert groups(trainer) == [0.1, 0.4]


def test_without_momentum_of_its_own_a_schedule_of_it_gets_that_of_the_options(tmp_path):
    ready = lambda groups: torch.optim.SGD(groups, lr=0.1)  # noqa: E731
    trainer = without_rate(tmp_path, optim_function=ready, mtm_scheduler="DecayWhenEpoch")
    assert groups(trainer, "momentum") == [0.5]
    given = without_rate(tmp_path, optim_function=ready, mtm_scheduler=falling, momentum=0.7)
    assert groups(given, "momentum") == [0.7]


def test_one_schedule_for_two_groups_drives_each_by_a_copy(tmp_path):
    plateau = TorchSchedule(lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1))
    trainer = make(tmp_path, param_groups=SPLIT, lr_scheduler={"head": plateau, "body": plateau})
    for _ in range(3):  # the first is the best; only after the third one it falls
        assert groups(trainer) == [0.1, 0.1]
        trainer.schedules.observe(None, 1.0)
        trainer.schedules.refresh()
    assert groups(trainer) == [0.05, 0.05]
    both = Triangular(lr_min=0.1, lr_max=0.5, stepsize=5)
    trainer = make(tmp_path, param_groups=SPLIT, lr_scheduler={"head": both, "body": both})
    trainer.train(3)
    trainer.apply_hparams({"learning_rate.head": 0.25})
    assert groups(trainer) == pytest.approx([0.26, 0.13])
