"""Frozen means bit-identical: parameters, statistics, and nothing dropped."""

import pytest
import torch
from torch import nn

from fspop.errors import UsageError
from fspop.training import Callback, Trainer
from fspop.training.freezing import layers
from tests.training.trainers import Net, make, weights


def changed(trainer, before):
    after = weights(trainer)
    return {name for name in before if not torch.equal(before[name], after[name])}


BODY = {"body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias"}
STATISTICS = {"body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked"}
HEAD = {"head.weight", "head.bias"}


def test_layers_are_modules_with_tensors_of_their_own():
    assert layers(Net()) == ["body.0", "body.1", "head"]


@pytest.mark.parametrize("optim", ["SGD", "Adam"])
def test_what_is_frozen_by_name_keeps_every_bit(tmp_path, optim):
    trainer = make(tmp_path, optim_function=optim, weight_decay=0.1, momentum=0.9)
    trainer.train(3)  # so there are moments and gradients
    trainer.freeze("body")
    before = weights(trainer)
    trainer.train(12)
    assert changed(trainer, before) == HEAD
    trainer.unfreeze("body")
    trainer.train(2)
    assert changed(trainer, before) == BODY | STATISTICS | HEAD


def test_statistics_may_go_on_where_that_is_wanted(tmp_path):
    trainer = make(tmp_path, freeze_statistics=False)
    trainer.freeze("body")
    before = weights(trainer)
    trainer.train(5)
    assert changed(trainer, before) == HEAD | STATISTICS


def test_layers_are_frozen_and_freed_from_the_front(tmp_path):
    trainer = make(tmp_path)
    trainer.freeze_to(2)
    before = weights(trainer)
    trainer.train(5)
    assert trainer.frozen == ["body.0", "body.1"] and changed(trainer, before) == HEAD
    trainer.unfreeze_to(1)
    assert trainer.frozen == ["body.1"]
    before = weights(trainer)
    trainer.train(5)
    assert changed(trainer, before) == HEAD | {"body.0.weight", "body.0.bias"}


class CarelessEpoch(Trainer):
    def train_epoch(self):
        self.model.train()
        super().train_epoch()


class CarelessStep(Trainer):
    def train_step(self, batch):
        self.model.train()
        return super().train_step(batch)


@pytest.mark.parametrize("kind", [CarelessEpoch, CarelessStep])
def test_an_override_that_calls_train_does_not_thaw_statistics(tmp_path, kind):
    trainer = make(tmp_path, kind)
    trainer.freeze("body")
    before = weights(trainer)
    trainer.train(5)
    assert changed(trainer, before) == HEAD
    assert trainer.model.train().body.training  # nothing holds it outside of a step
    trainer.unfreeze("body")
    trainer.train(2)
    assert changed(trainer, before) == BODY | STATISTICS | HEAD


class FrozenAtThree(Callback):
    def after_step(self, trainer):
        if trainer.iteration == 3:
            trainer.freeze("body")


def test_what_is_frozen_in_the_middle_of_an_epoch_is_so_at_once(tmp_path):
    whole, halved, resumed = (make(tmp_path, callbacks=[FrozenAtThree()]) for _ in range(3))
    whole.train(8)
    halved.train(5)
    resumed.load_state_dict(halved.state_dict())
    resumed.train(3)
    statistics = {name: weights(whole)[name] for name in STATISTICS}
    assert all(torch.equal(weights(resumed)[name], statistics[name]) for name in STATISTICS)


class Constant(Net):
    """With a parameter that is not to be trained, and a weight that two layers share."""

    def __init__(self):
        super().__init__()
        self.body[0].register_parameter("pos", nn.Parameter(torch.zeros(6), requires_grad=False))
        self.second = nn.Linear(4, 6)
        self.second.weight = self.body[0].weight


def trained(trainer):
    return {name for name, each in trainer.model.named_parameters() if each.requires_grad}


def test_unfreezing_gives_back_what_was_before(tmp_path):
    trainer = make(tmp_path, model=Constant)
    before = trained(trainer)
    trainer.freeze("body")
    trainer.freeze("body")
    trainer.unfreeze("body")
    assert trained(trainer) == before and "body.0.pos" not in before
    trainer.unfreeze("body")  # which nothing has frozen
    assert trained(trainer) == before | {"body.0.pos"}


def test_a_weight_that_a_frozen_layer_shares_stays_frozen(tmp_path):
    trainer = make(tmp_path, model=Constant)
    before = trained(trainer)
    trainer.freeze("body", "second")
    trainer.unfreeze("second")
    assert trainer.frozen == ["body.0", "body.1"]
    assert trained(trainer) == {"second.bias"} | HEAD
    trainer.unfreeze("body")
    assert trained(trainer) == before


def test_dropout_is_off_inside_what_is_frozen_and_on_elsewhere(tmp_path):
    trainer = make(tmp_path)
    trainer.freeze("body")
    trainer.set_modes()
    assert not trainer.model.body.training and not trainer.model.body[2].training
    assert trainer.model.training and trainer.model.head.training
    trainer.unfreeze("body.0")
    trainer.set_modes()
    assert trainer.model.body[2].training and not trainer.model.body[1].training


def test_what_is_frozen_stays_so_after_resuming(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    trainer.freeze("body")
    trainer.fit()
    resumed = make(tmp_path)
    resumed.resume()
    before = weights(resumed)
    resumed.fit()
    assert resumed.frozen == ["body.0", "body.1"] and changed(resumed, before) == HEAD


def test_names_and_numbers_that_do_not_exist_are_refused(tmp_path):
    trainer = make(tmp_path)
    with pytest.raises(UsageError, match=r"no module named 'bdy'; did you mean 'body'\?"):
        trainer.freeze("bdy")
    for n in (4, -1, True, "2"):
        with pytest.raises(UsageError, match=rf"layers: got {n!r}, but the model has 3: body\.0"):
            trainer.freeze_to(n)
    assert trainer.frozen == []


def test_gradients_gathered_before_freezing_are_not_applied_afterwards(tmp_path):
    trainer = make(tmp_path, accumulate_steps=4, optim_function="SGD")
    trainer.train(3)
    trainer.freeze("body")
    before = weights(trainer)
    trainer.train(1)
    assert changed(trainer, before) == HEAD
