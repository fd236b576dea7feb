"""What the two examples on pictures do: their data, their augmentation, their experiments."""

import math
import random

import pytest
import torch

from fspop.training import random_state
from fspop.training.cifar10 import RECORD_BYTES, TEST, TRAINING
from tests.examples import driver

NAMES = ("simple_cnn", "complex_cnn")


@pytest.fixture(autouse=True)
def generators_as_they_were():
    before = random_state.capture()
    yield
    random_state.restore(before)


@pytest.fixture(scope="module")
def complex_cnn():
    return driver.load_module("complex_cnn")


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    """A folder of small files in CIFAR-10's binary format, 300 random pictures each."""
    folder = tmp_path_factory.mktemp("cifar-10")
    draw = random.Random(0)
    for name in (*TRAINING, *TEST):
        records = [bytes([i % 10]) + draw.randbytes(RECORD_BYTES - 1) for i in range(300)]
        (folder / name).write_bytes(b"".join(records))
    return folder


@pytest.mark.parametrize(("name", "n_validation"), [("simple_cnn", 640), ("complex_cnn", 1280)])
def test_pictures_come_from_cifar_10_where_a_folder_is_given(name, n_validation, cifar10, tmp_path):
    task = driver.begin(driver.load_experiment(name), tmp_path, data=str(cifar10))
    assert len(task.train_dataset) == 1500 - n_validation
    assert task.train_dataset[0][0].shape == (3, 32, 32)
    before = task.evaluate()
    task.train(1)
    assert task.evaluate() != before


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_they_are_the_bundled_digits_none_of_them_twice(name):
    training, validation = driver.load_module(name).load_data(None)
    assert len(training) + len(validation) == 1797
    assert {tuple(batch.shape[1:]) for batch in (training.tensors[0], validation.tensors[0])} == {
        (3, 8, 8)
    }


def test_a_digit_is_painted_in_a_light_colour_on_a_dark_one(complex_cnn):
    pictures, labels = complex_cnn.painted_digits()
    means = pictures.float().mean((0, 1))
    assert pictures.dtype == torch.uint8 and len(pictures) == len(labels) == 1797
    assert means[:, 3:5].mean() > 1.5 * means[:, 0].mean()  # strokes are in the middle
    assert (pictures[0, 0] != pictures[0, 1]).any()


def test_a_third_of_the_circle_makes_red_of_blue_green_of_red_and_blue_of_green(complex_cnn):
    pictures = torch.rand(2, 3, 4, 4)
    turned = complex_cnn.turn_hue(pictures, torch.tensor([1 / 3, 0.0]).view(-1, 1, 1, 1))
    assert torch.allclose(turned[0], pictures[0, [2, 0, 1]], atol=1e-6)
    assert torch.allclose(turned[1], pictures[1], atol=1e-6)
    grey = torch.rand(2, 1, 4, 4).expand(2, 3, 4, 4)
    assert torch.allclose(complex_cnn.turn_hue(grey, torch.rand(2, 1, 1, 1)), grey, atol=1e-6)


def test_without_contrast_all_is_the_mean_and_without_saturation_all_is_grey(complex_cnn):
    pictures = torch.rand(2, 3, 4, 4)
    all_of_it = -torch.ones(2, 1, 1, 1)
    flat = complex_cnn.stretch_contrast(pictures, all_of_it)
    assert torch.allclose(flat, pictures.mean((1, 2, 3), keepdim=True).expand_as(flat))
    grey = complex_cnn.saturate(pictures, all_of_it)
    assert torch.allclose(grey, pictures.mean(1, keepdim=True).expand_as(grey))


def test_each_picture_draws_its_own_strength_on_both_sides(complex_cnn):
    drawn = complex_cnn.at_random(torch.rand(200, 3, 2, 2), 0.3).flatten()
    assert drawn.abs().max() <= 0.3 and drawn.min() < -0.2 and drawn.max() > 0.2


def test_every_hparam_has_an_effect_on_training_and_augmenting_none_on_the_score(
    complex_cnn, tmp_path
):
    def loss_after(**changes):
        task = driver.begin(complex_cnn.experiment, tmp_path)
        task.apply_hparams({**complex_cnn.FIRST, **changes})
        before = task.evaluate()["loss"]
        task.train(2)
        return before, task.evaluate()["loss"]

    changes = {"learning_rate": 2e-3, "beta1": 0.5, "beta2": 0.9, "batch_size": 32}
    changes |= dict.fromkeys(complex_cnn.MOST, 0.4)
    first, plain = loss_after()
    for name, value in changes.items():
        before, after = loss_after(**{name: value})
        assert before == first and after != plain, name


def test_mutated_hparams_stay_where_they_mean_something(complex_cnn):
    rng, hparams = random.Random(0), complex_cnn.FIRST
    seen = []
    for _ in range(500):
        hparams = complex_cnn.mutate(hparams, rng)
        seen.append(hparams)
    assert all(0 < each["beta1"] < 1 and 0 < each["beta2"] < 1 for each in seen)
    assert all(0 <= each[name] <= most for each in seen for name, most in complex_cnn.MOST.items())
    assert all(isinstance(each["batch_size"], int) and each["batch_size"] >= 8 for each in seen)
    assert any(each["label_smoothing"] > 0 for each in seen)


def test_the_simple_one_steps_by_half_a_unit_of_the_logarithm():
    module = driver.load_module("simple_cnn")
    up, down = (
        module.step_up_or_down({"learning_rate": 0.01}, direction, 0)["learning_rate"]
        for direction in ("pos", "neg")
    )
    assert math.log(up) - math.log(0.01) == pytest.approx(0.5)
    assert math.log(down) - math.log(0.01) == pytest.approx(-0.5)


def test_its_charts_show_the_learning_rate_and_its_logarithm(tmp_path):
    task = driver.begin(driver.load_experiment("simple_cnn"), tmp_path)
    task.train(1)
    scalars = task.scalars()
    assert scalars["log_learning_rate"] == pytest.approx(math.log(1e-3))
    assert set(scalars) == {"learning_rate", "log_learning_rate", "loss/train"}


@pytest.mark.slow
def test_the_simple_one_learns_the_digits(tmp_path):
    task = driver.begin(driver.load_experiment("simple_cnn"), tmp_path)
    untrained = task.evaluate()["accuracy"]
    task.train(150)
    assert untrained < 0.3 and task.evaluate()["accuracy"] > 0.85
