"""One worker finds the learning rate of a small convolutional network while training it.

Every 500 steps the one member tries a larger and a smaller learning rate for 500 steps each, from
the same checkpoint, and goes on with the best of the three. After "simple CNN" in the population
library of learned_optimization, whose settings these are.

    fspop run examples/simple_cnn.py --dir /tmp/simple_cnn --workers 1
    fspop run examples/simple_cnn.py:population --dir /tmp/population --workers 5

Pictures are CIFAR-10's, from the folder of its binary files that `--data` names; without it the
1,797 scanned digits that come with scikit-learn.
"""

import functools
import math

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from fspop import Experiment
from fspop.mutators import SingleWorkerExplore, WinnerTakeAllGenetic
from fspop.training import Trainer
from fspop.training.cifar10 import read_cifar10

BATCH_SIZE = 128
N_VALIDATION = 5 * BATCH_SIZE


@functools.cache  # once a process, however many members it trains
def load_data(folder):
    """What to train on and what to validate with: bytes (N, 3, H, W) and labels (N,)."""
    if folder is not None:
        training, _ = read_cifar10(folder)  # the test set is for the very end
        pictures, labels = training.tensors
    else:
        digits = load_digits()
        grey = torch.tensor(digits.images * (255 / 16), dtype=torch.uint8)  # (1797, 8, 8)
        pictures, labels = grey.unsqueeze(1).repeat(1, 3, 1, 1), torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = order[N_VALIDATION:], order[:N_VALIDATION]
    return [TensorDataset(pictures[part], labels[part]) for part in parts]


def make_network():
    """Takes pictures of any size: what it sees is averaged over the whole picture."""
    layers, channels = [], 3
    for stride in (2, 1, 2, 1):
        layers += [nn.Conv2d(channels, 64, kernel_size=3, stride=stride, padding=1), nn.ReLU()]
        channels = 64
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class SimpleCNN(Trainer):
    """One step is one minibatch. Trainer loops, saves, restores and sets the hyperparameters."""

    def __init__(self):
        super().__init__(
            make_network,
            optim_function="Adam",
            momentum=0.9,
            weight_decay=0.0,
            batch_size=BATCH_SIZE,
            val_every=0,  # the worker evaluates, not the end of an epoch
        )

    def make_datasets(self):
        training, validation = load_data(self.context.data)
        return training, validation, None

    def predict(self, batch):
        pictures, labels = batch
        return self.network(pictures.float() / 255), labels

    def scalars(self):
        """For the charts."""
        found = super().scalars()
        return {**found, "log_learning_rate": math.log(found["learning_rate"])}


def step_up_or_down(hparams, direction, phase):
    step = 0.5 if direction == "pos" else -0.5
    return {"learning_rate": hparams["learning_rate"] * math.exp(step)}


experiment = Experiment(
    task=SimpleCNN,
    members=1,
    mode="min",
    metric="loss",
    initial_population=[{"learning_rate": 1e-3}],
    mutator=SingleWorkerExplore(step_up_or_down, exploit_steps=500, explore_steps=500),
    total_steps=20_000,
    report_every=10,
)


def step_at_random(hparams, rng):
    return {"learning_rate": hparams["learning_rate"] * math.exp(rng.gauss(0, 0.5))}


population = Experiment(
    task=SimpleCNN,
    members=5,
    mode="min",
    metric="loss",
    initial_population=[{"learning_rate": 1e-3}] * 5,
    mutator=WinnerTakeAllGenetic(step_at_random, steps_per_exploit=300),
    total_steps=20_000,
    report_every=10,
)
