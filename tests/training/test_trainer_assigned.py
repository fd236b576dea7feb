"""What was assigned one after the other: which of it counts, and that all of it survives."""

import numpy as np
import pytest
from torch.optim import lr_scheduler

from fspop.errors import HparamsNotApplied
from fspop.training import Callback, Context
from fspop.training.schedules import Triangular
from tests.training.trainers import make, points, same, weights

SPLIT = {"body": ["body"], "head": ["head"]}


def groups(trainer, key="lr"):
    return [group[key] for group in trainer.optimizer.param_groups]


def test_what_was_assigned_earlier_stays_and_survives_resuming(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    trainer.apply_hparams({"batch_size": 4, "dropout": 0.3, "model": {"body.1.eps": 0.5}})
    trainer.apply_hparams({"learning_rate": 0.02, "model": {"body.1.momentum": 0.25}})
    trainer.fit()
    resumed = make(tmp_path)
    assert resumed.resume() and resumed.hparams == trainer.hparams
    assert resumed.effective_hparams() == trainer.hparams
    assert (resumed.train_loader.batch_size, resumed.model.body[2].p) == (4, 0.3)
    assert (resumed.model.body[1].eps, resumed.model.body[1].momentum) == (0.5, 0.25)


def test_in_a_population_what_is_not_assigned_any_more_is_none_of_its_hparams(tmp_path):
    trainer = make(tmp_path)
    wanted = {"batch_size": 4, "dropout": 0.3}
    trainer.setup(Context(member=0, generation="m000.g0000", hparams=wanted, seed=5))
    trainer.apply_hparams(wanted)
    trainer.apply_hparams({"dropout": 0.1})
    assert trainer.hparams == {"dropout": 0.1}
    trainer.set_learning_rate(0.5)
    assert trainer.hparams == {"dropout": 0.1, "learning_rate": 0.5}


@pytest.mark.parametrize(
    ("optim", "first", "then", "left"),
    [
        ("SGD", {"lr": 0.1}, {"learning_rate": 0.2}, {"learning_rate": 0.2}),
        ("SGD", {"learning_rate.0": 0.1}, {"learning_rate": 0.2}, {"learning_rate": 0.2}),
        ("Adam", {"beta1": 0.8}, {"momentum": 0.9}, {"momentum": 0.9}),
        ("Adam", {"momentum": 0.8}, {"betas": [0.5, 0.9]}, {"betas": [0.5, 0.9]}),
        ("Adam", {"beta2": 0.8}, {"momentum": 0.9}, {"beta2": 0.8, "momentum": 0.9}),
        ("Adam", {"model.body.2.p": 0.5}, {"dropout": 0.4}, {"dropout": 0.4}),
        ("Adam", {"lr": 0.2}, {"lr.head": 0.1}, {"lr": 0.2, "lr.head": 0.1}),
    ],
)
@pytest.mark.parametrize("schedule", [None, "DecayWhenEpoch"])
def test_of_two_names_for_the_same_the_later_one_counts(
    tmp_path, optim, first, then, left, schedule
):
    trainer = make(tmp_path, optim_function=optim, param_groups=SPLIT, lr_scheduler=schedule)
    trainer.apply_hparams(first)
    trainer.apply_hparams(then)
    assert trainer.hparams == left and trainer.effective_hparams() == left
    trainer.set_learning_rate(0.25)
    trainer.set_momentum(0.75)
    assert set(groups(trainer)) == {0.25}
    assert trainer.effective_hparams() == trainer.hparams


@pytest.mark.parametrize("schedule", [None, "DecayWhenEpoch"])
def test_the_one_of_a_group_goes_before_the_one_of_all(tmp_path, schedule):
    trainer = make(tmp_path, param_groups=SPLIT, lr_scheduler=schedule)
    hparams = {"learning_rate.head": 0.2, "learning_rate": 0.1}
    trainer.apply_hparams(hparams)
    assert groups(trainer) == [0.1, 0.2] and trainer.effective_hparams() == hparams


def test_two_names_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(HparamsNotApplied, match=r"'lr': assigned 0\.1, but 0\.2 is in effect"):
        make(tmp_path).apply_hparams({"lr": 0.1, "learning_rate": 0.2})


def triangle():
    return Triangular(lr_min=0.001, lr_max=0.1, stepsize=20)


def half(optimizer):
    return lr_scheduler.StepLR(optimizer, 7, 0.5)


@pytest.mark.parametrize(
    ("given", "peak"), [(triangle, 0.1), (lambda: "WarmRestart", 0.2), (lambda: half, 0.2)]
)
def test_a_new_schedule_has_the_peak_it_comes_with_or_the_assigned_rate(tmp_path, given, peak):
    trainer = make(tmp_path, num_epochs=1)
    trainer.set_learning_rate(0.2)
    trainer.fit()
    trainer.set_options(lr_scheduler=given(), num_epochs=3)
    assert trainer.schedules.state()[0]["state"]["base"] == peak
    assert trainer.hparams == ({} if peak == 0.1 else {"learning_rate": 0.2})
    trainer.set_options(save_every=15)
    trainer.fit()
    resumed = make(tmp_path, lr_scheduler=given(), num_epochs=3)
    resumed.load_checkpoint(tmp_path / "checkpoint" / "ck_epoch_1_iter_15")
    resumed.fit()
    assert groups(resumed) == groups(trainer) and same(weights(resumed), weights(trainer))


def test_in_a_population_the_assigned_rate_is_the_peak_of_any_new_schedule(tmp_path):
    trainer = make(tmp_path)
    wanted = {"learning_rate": 0.2}
    trainer.setup(Context(member=0, generation="m000.g0000", hparams=wanted, seed=5))
    trainer.apply_hparams(wanted)
    trainer.set_options(lr_scheduler=triangle())
    trainer.train(25)
    assert trainer.effective_hparams() == trainer.hparams == wanted


class Halving(Callback):
    """Halves the learning rate by hand, in the middle of an epoch."""

    def after_step(self, trainer):
        if trainer.iteration == 7:
            trainer.optimizer.param_groups[0]["lr"] /= 2


def test_a_rate_changed_by_hand_is_not_undone_by_resuming(tmp_path):
    trainer = make(tmp_path, num_epochs=2, save_every=9, callbacks=[Halving()])
    trainer.set_learning_rate(0.5)
    trainer.fit()
    resumed = make(tmp_path, num_epochs=2, callbacks=[Halving()], train_dataset=points())
    resumed.load_checkpoint(tmp_path / "checkpoint" / "ck_epoch_0_iter_9")
    assert groups(resumed) == [0.25]
    resumed.fit()
    assert same(weights(resumed), weights(trainer))


def test_data_and_a_batch_size_that_suit_only_each_other_are_set_together(tmp_path):
    trainer = make(tmp_path)
    trainer.set_options(train_dataset=points(6), batch_size=np.int64(3))
    assert trainer.batches_per_epoch == 2
    trainer.set_options(train_dataset=points(400), batch_size=200)
    assert trainer.batches_per_epoch == 2 and trainer.effective_hparams() == {"batch_size": 200}
