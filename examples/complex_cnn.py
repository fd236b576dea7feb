"""Five members tune eight hyperparameters of a convolutional network while training it.

After every 10 seconds of training the best one's weights go to all others, each with its learning
rate, both betas, strengths of the augmentation, label smoothing and batch size changed a bit; the
loss on held-out pictures decides. After "complex CNN" in the population library of
learned_optimization, whose settings these are.

    fspop run examples/complex_cnn.py --dir /tmp/complex_cnn --workers 5

Pictures are CIFAR-10's, from the folder of its binary files that `--data` names; without it the
1,797 scanned digits that come with scikit-learn, painted. Rounds by the clock end in other numbers
each time. To have them repeat: `--set mutator.seconds_per_exploit=null
--set mutator.steps_per_exploit=200`.
"""

import functools
import math

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from fspop import Experiment
from fspop.mutators import WinnerTakeAllGenetic
from fspop.training import Trainer
from fspop.training.cifar10 import read_cifar10

BATCH_SIZE = 64
N_VALIDATION = 20 * BATCH_SIZE
N_VALIDATION_DIGITS = 5 * BATCH_SIZE


# ---- the data
@functools.cache  # once a process, however many members it trains
def load_data(folder):
    """What to train on and what to validate with: bytes (N, 3, H, W) and labels (N,)."""
    if folder is None:
        pictures, labels = painted_digits()
        n_validation = N_VALIDATION_DIGITS
    else:
        training, _ = read_cifar10(folder)  # the test set is for the very end
        pictures, labels = training.tensors
        n_validation = N_VALIDATION
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = order[n_validation:], order[:n_validation]
    return [TensorDataset(pictures[part], labels[part]) for part in parts]


def painted_digits():
    """Each digit in a light colour on a dark one, so that hue and saturation mean something."""
    digits = load_digits()
    strokes = torch.tensor(digits.images).view(-1, 1, 8, 8) / 16
    drawn = torch.rand(2, len(strokes), 3, 1, 1, generator=torch.Generator().manual_seed(0))
    light, dark = 0.5 + drawn[0] / 2, drawn[1] / 2
    pictures = strokes * light + (1 - strokes) * dark  # (1797, 3, 8, 8)
    return (255 * pictures).to(torch.uint8), torch.tensor(digits.target)


# ---- augmentation, on whole batches of numbers from 0 to 1
def at_random(pictures, strength):
    """One number from -strength to strength for each picture."""
    drawn = torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
    return strength * (2 * drawn - 1)  # (B, 1, 1, 1)


def turn_hue(pictures, turns):
    """Rotates the colours around the axis of greys; 1 is the whole circle."""
    angle = 2 * math.pi * turns
    even, odd = (1 - angle.cos()) / 3, angle.sin() / math.sqrt(3)
    red, green, blue = pictures.unbind(1)  # three of (B, H, W)
    ahead = torch.stack([green, blue, red], 1)  # (B, 3, H, W)
    behind = torch.stack([blue, red, green], 1)
    return angle.cos() * pictures + even * pictures.sum(1, keepdim=True) + odd * (behind - ahead)


def stretch_contrast(pictures, more):
    """Moves every pixel away from the mean of its picture, or for less than 0 towards it."""
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return mean + (1 + more) * (pictures - mean)


def saturate(pictures, more):
    """Moves every colour away from its grey, or for less than 0 towards it."""
    grey = pictures.mean(1, keepdim=True)
    return grey + (1 + more) * (pictures - grey)


# ---- the training
def make_network():
    """Takes pictures of any size: what it sees is averaged over the whole picture."""
    layers, channels = [], 3
    for stride in (2, 1, 2, 1):
        layers += [nn.Conv2d(channels, 64, kernel_size=3, stride=stride, padding=1), nn.ReLU()]
        channels = 64
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class ComplexCNN(Trainer):
    """One step is one minibatch. Every hyperparameter is set by its name: in the optimizer, the
    loss (without its smoothing when validating), the loader, or as an attribute of this class.
    """

    hue = contrast = saturation = 0.0

    def __init__(self):
        super().__init__(
            make_network,
            optim_function="Adam",
            weight_decay=0.0,
            val_batch_size=BATCH_SIZE,
            val_every=0,  # the worker evaluates, not the end of an epoch
        )

    def make_datasets(self):
        training, validation = load_data(self.context.data)
        return training, validation, None

    def predict(self, batch):
        pictures, labels = batch
        pictures = pictures.float() / 255
        if self.model.training:
            pictures = self.augment(pictures)
        return self.network(pictures), labels

    def augment(self, pictures):
        """The global random numbers that it draws travel with the checkpoint."""
        pictures = turn_hue(pictures, at_random(pictures, self.hue))
        pictures = stretch_contrast(pictures, at_random(pictures, self.contrast))
        pictures = saturate(pictures, at_random(pictures, self.saturation))
        return pictures.clamp(0, 1)


def mutate(hparams, rng):
    """`rng` depends on the run's seed, the member and its generation, never on the process."""
    changed = {name: hparams[name] + rng.gauss(0, 0.03) for name in MOST}
    return {
        "learning_rate": hparams["learning_rate"] * math.exp(rng.gauss(0, 0.5)),
        "beta1": 1 - (1 - hparams["beta1"]) * math.exp(rng.gauss(0, 0.03)),
        "beta2": 1 - (1 - hparams["beta2"]) * math.exp(rng.gauss(0, 0.03)),
        "batch_size": min(max(round(hparams["batch_size"] * (1 + rng.gauss(0, 0.1))), 8), 1024),
        **{name: min(max(value, 0.0), MOST[name]) for name, value in changed.items()},
    }


MOST = {"hue": 0.5, "contrast": 1.0, "saturation": 1.0, "label_smoothing": 1.0}

FIRST = {
    "learning_rate": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "batch_size": BATCH_SIZE,
    **dict.fromkeys(MOST, 0.0),
}

experiment = Experiment(
    task=ComplexCNN,
    members=5,
    mode="min",
    metric="loss",
    initial_population=[FIRST] * 5,
    mutator=WinnerTakeAllGenetic(mutate, seconds_per_exploit=10),
    total_steps=20_000,
    report_every=50,
)
