"""Hyperparameters are applied where they work, after every restore, and read back from there."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import Dataset, Subset

from fspop.errors import HparamsNotApplied, InvalidSetting
from fspop.training import Context, Trainer
from fspop.training.schedules import DecayWhenEpoch, WarmRestart
from tests.training.trainers import make, points, same, weights


def started(trainer, hparams, step=0):
    """As a worker begins: set up, restored by the caller, assigned, proven."""
    trainer.setup(Context(member=0, generation="m000.g0000", hparams=hparams, seed=5, step=step))
    trainer.apply_hparams(hparams)
    return trainer


def groups(trainer, key="lr"):
    return [group[key] for group in trainer.optimizer.param_groups]


@pytest.mark.parametrize(
    ("optim", "hparams", "key", "value"),
    [
        ("SGD", {"momentum": 0.7, "weight_decay": 0.02}, "momentum", 0.7),
        ("Adam", {"momentum": 0.7, "weight_decay": 0.02}, "betas", (0.7, 0.999)),
        ("AdamW", {"beta1": 0.8, "beta2": 0.95}, "betas", (0.8, 0.95)),
        ("RMSprop", {"momentum": 0.7, "alpha": 0.9}, "alpha", 0.9),
        ("SGD", {"learning_rate": 0.25}, "lr", 0.25),
    ],
)
def test_what_the_optimizer_has_reaches_the_optimizer(tmp_path, optim, hparams, key, value):
    trainer = make(tmp_path, optim_function=optim)
    trainer.train(2)
    trainer.apply_hparams(hparams)
    assert groups(trainer, key) == [value] and trainer.effective_hparams() == hparams
    trainer.train(2)
    assert groups(trainer, key) == [value]


@pytest.mark.parametrize(
    "hparams",
    [
        {"learning_rate": {"head": 0.5, "body": 0.25}},
        {"learning_rate.head": 0.5, "learning_rate.body": 0.25},
        {"learning_rate": {"head": 0.5}, "lr.0": 0.25},
    ],
)
def test_each_param_group_may_have_its_own_learning_rate(tmp_path, hparams):
    trainer = make(tmp_path, param_groups={"body": ["body"], "head": ["head"]})
    trainer.apply_hparams(hparams)
    assert groups(trainer) == [0.25, 0.5] and trainer.effective_hparams() == hparams
    assert groups(trainer, "name") == ["body", "head"]


def test_an_unknown_group_names_the_nearest(tmp_path):
    trainer = make(tmp_path, param_groups={"head": ["head"]})
    assert groups(trainer, "name") == ["head", "rest"]
    with pytest.raises(InvalidSetting, match=r"'hed'; did you mean 'head'\?"):
        trainer.apply_hparams({"learning_rate": {"hed": 0.5}})


class Blur(nn.Module):
    """A transform with strengths of its own."""

    strength = 1.0

    def forward(self, x):
        return x * self.strength


class Pictures(Dataset):
    def __init__(self):
        self.hue, self.transform = 0.5, nn.Sequential(nn.Identity(), Blur())

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return self.transform(torch.full((4,), self.hue)), index % 2


def test_strengths_are_found_in_the_data_its_transforms_the_loss_and_the_trainer(tmp_path):
    class Mixing(Trainer):
        alpha = 0.0

    data = Pictures()
    trainer = make(tmp_path, Mixing, train_dataset=Subset(data, range(32)))
    hparams = {"hue": 0.1, "strength": 0.7, "label_smoothing": 0.2, "alpha": 0.4, "dropout": 0.3}
    hparams |= {"batch_size": 4, "clip_grad_norm": 2.0, "accumulate_steps": 2}
    trainer.apply_hparams(hparams)
    assert (data.hue, data.transform[1].strength, trainer.loss_fn.label_smoothing) == (
        0.1,
        0.7,
        0.2,
    )
    assert (trainer.alpha, trainer.model.body[2].p) == (0.4, 0.3)
    assert trainer.effective_hparams() == hparams
    assert len(next(iter(trainer.train_loader))[0]) == 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_strength_changes_the_very_next_batch_also_of_running_workers(tmp_path, num_workers):
    data, seen = Pictures(), []

    class Watching(Trainer):
        def train_step(self, batch):
            seen.append(batch[0].mean().item())

    trainer = make(tmp_path, Watching, train_dataset=data, num_workers=num_workers)
    trainer.train(2)
    trainer.apply_hparams({"hue": 0.25})
    trainer.train(1)
    assert seen == [0.5, 0.5, 0.25]


def test_dotted_names_lead_into_model_and_data(tmp_path):
    data = Pictures()
    trainer = make(tmp_path, train_dataset=data)
    trainer.apply_hparams({"model": {"body.2.p": 0.75}, "train_dataset.hue": 0.2})
    assert (trainer.model.body[2].p, data.hue) == (0.75, 0.2)
    assert trainer.effective_hparams() == {"model": {"body.2.p": 0.75}, "train_dataset.hue": 0.2}


@pytest.mark.parametrize(
    "name", ["width", "iteration", "seed", "epoch", "options", "_window", "fit"]
)
def test_a_name_without_a_place_is_an_error(tmp_path, name):
    with pytest.raises(HparamsNotApplied, match=rf"{name}=1: Trainer has nowhere to put it"):
        make(tmp_path).apply_hparams({name: 1})


def test_a_subclass_may_take_any_other_name(tmp_path):
    taken = {}
    put = lambda self, name, value: taken.update({name: value})  # noqa: E731
    trainer = make(tmp_path, type("Taking", (Trainer,), {"apply_other": put}))
    trainer.apply_hparams({"width": 7, "nested": {"a": 1}, "learning_rate": 0.1})
    assert taken == {"width": 7, "nested": {"a": 1}}
    assert trainer.effective_hparams() == {"learning_rate": 0.1}


def test_what_is_not_in_effect_raises(tmp_path):
    class Deaf(Trainer):
        level = property(lambda self: 0.5, lambda self, value: None)

    with pytest.raises(HparamsNotApplied, match=r"'level': assigned 0\.9, but 0\.5 is in effect"):
        make(tmp_path, Deaf).apply_hparams({"level": 0.9})
    with pytest.raises(HparamsNotApplied, match=r"batch_size=81.*refused.*no batch"):
        make(tmp_path).apply_hparams({"batch_size": 81})


@pytest.mark.parametrize("optim", ["SGD", "Adam"])
def test_a_parents_hparams_do_not_come_back_with_its_optimizer_but_its_moments_do(tmp_path, optim):
    options = {"optim_function": optim, "lr_scheduler": DecayWhenEpoch(initial=0.1)}
    parent = started(make(tmp_path, **options), {"learning_rate": 0.2, "momentum": 0.9})
    parent.train(13)
    child = make(tmp_path, **options)
    wanted = {"learning_rate": 0.05, "momentum": 0.6, "batch_size": 4}
    child.setup(Context(member=1, generation="m001.g0002", hparams=wanted, seed=9, step=13))
    child.load_state_dict(parent.state_dict())
    child.apply_hparams(wanted)
    assert same(weights(child), weights(parent)) and child.step == 13
    assert groups(child) == [0.05] and child.effective_hparams() == wanted
    moments = zip(child.optimizer.state.values(), parent.optimizer.state.values(), strict=True)
    for mine, theirs in moments:
        assert all(torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine)
    before = weights(parent)
    child.train(3)
    assert groups(child) == [0.05] and same(before, weights(parent))


def test_a_schedule_is_rebased_and_keeps_its_place(tmp_path):
    schedule = lambda: WarmRestart(lr_min=0.0, lr_max=0.1, stepsize=5)  # noqa: E731
    trainer, double = (
        make(tmp_path, lr_scheduler=schedule()),
        make(tmp_path, lr_scheduler=schedule()),
    )
    trainer.train(13)
    double.train(13)
    trainer.apply_hparams({"learning_rate": 0.2})
    assert groups(trainer) == [pytest.approx(2 * groups(double)[0])]
    assert trainer.effective_hparams() == {"learning_rate": 0.2}
    trainer.train(4)
    double.train(4)
    assert groups(trainer) == [pytest.approx(2 * groups(double)[0])]
    trainer.optimizer.param_groups[0]["lr"] = 0.123
    assert trainer.effective_hparams() == {"learning_rate": 0.123}


def test_schedules_of_two_groups_move_apart(tmp_path):
    split = {"body": ["body"], "head": ["head"]}
    trainer = make(tmp_path, param_groups=split, lr_scheduler=DecayWhenEpoch(initial=0.1))
    trainer.apply_hparams({"learning_rate": {"head": 0.3}})
    trainer.train(3)
    assert groups(trainer) == [0.1, 0.3]
    only = make(tmp_path, param_groups=split, lr_scheduler={"head": DecayWhenEpoch(initial=0.1)})
    only.apply_hparams({"learning_rate": 0.5})
    only.train(3)
    assert groups(only) == [0.5, 0.5] and only.effective_hparams() == {"learning_rate": 0.5}


def test_a_momentum_schedule_drives_the_first_beta(tmp_path):
    schedule = DecayWhenEpoch(initial=0.9, num_epochs=1, lr_decay=0.5)
    trainer = make(tmp_path, mtm_scheduler=schedule)
    trainer.train(11)
    assert groups(trainer, "betas") == [(0.45, 0.999)]
    trainer.apply_hparams({"momentum": 0.8})
    assert groups(trainer, "betas") == [(0.4, 0.999)]
    with pytest.raises(HparamsNotApplied, match=r"mtm_scheduler drives the first of them"):
        trainer.apply_hparams({"betas": [0.5, 0.9]})


@pytest.mark.parametrize(
    "given",
    ["ExponentialDecay", lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)],
    ids=["name", "torch"],
)
def test_a_schedule_may_be_a_name_or_a_torch_scheduler(tmp_path, given):
    trainer = make(tmp_path, lr_scheduler=given, learning_rate=0.3)
    assert groups(trainer) == [0.3]
    trainer.train(5)
    assert groups(trainer)[0] < 0.3


@pytest.mark.parametrize(
    "given",
    [
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20),
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.001, 0.1, step_size_up=5),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 20),
    ],
    ids=["one-cycle", "cyclic", "cosine"],
)
def test_an_assigned_rate_is_the_peak_of_what_a_torch_scheduler_runs(tmp_path, given):
    rates = []

    class Watching(Trainer):
        def train_step(self, batch):
            rates.append(groups(self)[0])

    trainer = started(make(tmp_path, Watching, lr_scheduler=given), {"learning_rate": 0.05})
    trainer.train(20)
    assert max(rates) == pytest.approx(0.05)
    assert trainer.effective_hparams() == {"learning_rate": 0.05}


def test_a_rate_above_the_assigned_one_is_refused_and_not_trained_with(tmp_path):
    rising = lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda i: 1 + i)  # noqa: E731
    trainer = started(make(tmp_path, lr_scheduler=rising), {"learning_rate": 0.05})
    trainer.train(1)
    with pytest.raises(InvalidSetting, match=r"set to 0\.05, but the scheduler says 0\.1 at iter"):
        trainer.train(1)
    assert groups(trainer) == [0.05]


def test_label_smoothing_does_not_touch_the_measure(tmp_path):
    trainer = make(tmp_path)
    plain = trainer.evaluate()
    trainer.apply_hparams({"label_smoothing": 0.3})
    assert trainer.evaluate() == plain and trainer.loss_fn.label_smoothing == 0.3


def test_the_batch_size_changes_in_the_middle_of_an_epoch_and_no_sample_comes_twice(tmp_path):
    seen = []

    class Watching(Trainer):
        def train_step(self, batch):
            seen.append(batch[0])

    trainer = make(tmp_path, Watching, model=lambda: nn.Linear(4, 2))
    trainer.train(3)
    trainer.set_batch_size(14)
    trainer.train(4)
    assert [len(batch) for batch in seen] == [8, 8, 8, 14, 14, 14, 14] and trainer.epoch == 1
    assert len(torch.cat(seen).unique(dim=0)) == 80


def test_what_was_assigned_alone_survives_resuming(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    trainer.apply_hparams({"dropout": 0.4, "label_smoothing": 0.1})
    trainer.set_learning_rate(0.5)
    trainer.set_momentum(0.25)
    trainer.set_batch_size(4)
    trainer.fit()
    resumed = make(tmp_path)
    assert resumed.resume()
    assert resumed.effective_hparams() == trainer.hparams and len(trainer.hparams) == 5
    assert resumed.model.body[2].p == 0.4 and groups(resumed) == [0.5]


def test_siblings_go_through_the_data_in_orders_of_their_own(tmp_path):
    orders = []
    for seed in (1, 1, 2):
        trainer = make(tmp_path)
        trainer.setup(Context(member=0, generation="m000.g0000", hparams={}, seed=seed))
        orders.append(trainer.feed.fetch()[0])
    assert torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], orders[2])


def test_options_set_later_are_checked_and_what_is_fixed_says_so(tmp_path):
    trainer = make(tmp_path)
    trainer.train(3)
    trainer.set_options(train_dataset=points(40, seed=3), batch_size=4)
    assert trainer.batches_per_epoch == 10 and trainer.batch == 0
    with pytest.raises(InvalidSetting, match=r"optim_function: fixed once made"):
        trainer.set_options(optim_function="SGD")
    with pytest.raises(InvalidSetting, match=r"no option 'num_epoch'; did you mean 'num_epochs'"):
        trainer.set_options(num_epoch=3)


def test_numbers_of_numpy_are_taken_as_those_of_python(tmp_path):
    whole, rate = np.int64(4), np.float32(0.25)
    options = {"optim_options": {"eps": np.float64(1e-6)}, "weight_decay": np.float64(0.01)}
    trainer = make(
        tmp_path, learning_rate=rate, batch_size=whole, num_epochs=np.int64(1), **options
    )
    trainer.apply_hparams({"momentum": np.float64(0.75), "label_smoothing": np.float32(0.5)})
    trainer.set_batch_size(np.int32(5))
    trainer.set_learning_rate(np.logspace(-1, 0, 2)[0])
    trainer.fit()  # which saves
    resumed = make(tmp_path)
    assert resumed.resume() and resumed.hparams == trainer.hparams
    assert {type(value) for value in trainer.hparams.values()} == {float, int}
    assert groups(resumed) == [0.1] and groups(resumed, "eps") == [1e-6]
