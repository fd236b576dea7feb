"""Hyperparameters that cannot work are refused in one line, those that torch allows are not."""

import math

import pytest

from fspop.errors import HparamsNotApplied, InvalidSetting
from fspop.training import Trainer
from tests.training.trainers import make

NAN, NUMBER = float("nan"), r"but it must be a finite number"


@pytest.mark.parametrize(
    ("optim", "hparams", "message"),
    [
        *[("SGD", {"learning_rate": bad}, NUMBER) for bad in (-0.1, "0.1", None, True, NAN)],
        ("SGD", {"lr.0": -1}, r"learning_rate: got -1"),
        ("SGD", {"momentum": 1.0}, NUMBER),
        ("SGD", {"weight_decay": -1}, r"hparams\.weight_decay: got -1, but it must be .*least 0"),
        ("SGD", {"nesterov": "x"}, r"nesterov: got 'x', but it must be True or False"),
        ("Adam", {"beta1": 1.5}, r"beta1: got 1\.5.*below 1"),
        ("Adam", {"beta2": -0.5}, NUMBER),
        ("Adam", {"betas": [0.5, 1.5]}, r"betas: got 1\.5"),
        ("Adam", {"betas": 0.5}, r"betas: got 0\.5, but it must be a list of 2 numbers"),
        ("Adam", {"dropout": 1.5}, r"got 1\.5, but it must be .*at most 1"),
        ("Adam", {"label_smoothing": 2.0}, r"label_smoothing: got 2\.0"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(tmp_path, optim, hparams, message):
    trainer = make(tmp_path, optim_function=optim)
    with pytest.raises(InvalidSetting, match=message) as caught:
        trainer.apply_hparams(hparams)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("peak", [-0.1, "0.1", NAN])
def test_so_is_a_peak(tmp_path, peak):
    trainer = make(tmp_path, lr_scheduler="WarmRestart", mtm_scheduler="InvTriangular")
    with pytest.raises(InvalidSetting, match=r"hparams\.learning_rate: got"):
        trainer.apply_hparams({"learning_rate": peak})
    with pytest.raises(InvalidSetting, match=r"hparams\.momentum: got 1\.5"):
        trainer.apply_hparams({"beta1": 1.5})


def test_what_torch_allows_is_allowed(tmp_path):
    hparams = {"learning_rate": 0, "weight_decay": 0, "momentum": 0, "dropout": 1.0}
    hparams |= {"nesterov": False, "dampening": -0.5, "label_smoothing": 1.0}
    trainer = make(tmp_path, optim_function="SGD")
    trainer.apply_hparams(hparams)
    assert trainer.effective_hparams() == hparams


def test_whether_a_layer_trains_is_no_hparam(tmp_path):
    with pytest.raises(HparamsNotApplied, match=r"training=False: Trainer has nowhere to put it"):
        make(tmp_path).apply_hparams({"training": False})


def test_an_attribute_may_be_nan(tmp_path):
    trainer = make(tmp_path, type("Noisy", (Trainer,), {"noise": 0.0}))
    trainer.apply_hparams({"noise": NAN})
    assert math.isnan(trainer.effective_hparams()["noise"])
