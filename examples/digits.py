"""A small convolutional network learns 1,797 scanned digits while its hyperparameters are tuned.

Eight members train with their own learning rate, momentum, weight decay and dropout. Every 200
steps a member among the worst copies the weights of one of the best and changes its
hyperparameters a bit.

    fspop run examples/digits.py --dir /tmp/digits --workers 4
"""

import functools

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from fspop import Experiment, LogUniform, Uniform
from fspop.mutators import TruncationSelection
from fspop.seeds import derive_seed
from fspop.training import TorchTask

BATCH_SIZE = 64
N_VALIDATION = 360


@functools.cache  # once a process, however many members it trains
def load_data():
    """Images and labels to train on and to validate on: the same split everywhere."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16  # (1797, 1, 8, 8)
    labels = torch.tensor(digits.target)  # (1797,)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    held_out, training = order[:N_VALIDATION], order[N_VALIDATION:]
    return (images[training], labels[training]), (images[held_out], labels[held_out])


class DigitsTask(TorchTask):
    """One step is one minibatch. TorchTask saves, restores and sets the hyperparameters."""

    def build(self, context):
        model = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(32 * 4 * 4, 10),
        ).to(context.device)
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def train_step(self, step):
        images, labels = self.minibatch(step)
        loss = F.cross_entropy(self.model(images), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def minibatch(self, step):
        """A function of the seed and the step, so a restored task needs no place in the data."""
        (images, labels), _ = load_data()
        seed = derive_seed(self.context.seed, step)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(labels), (BATCH_SIZE,), generator=generator)
        return images[chosen].to(self.context.device), labels[chosen].to(self.context.device)

    @torch.no_grad()
    def evaluate(self):
        _, (images, labels) = load_data()
        labels = labels.to(self.context.device)
        self.model.eval()
        scores = self.model(images.to(self.context.device))  # (360, 10)
        return {
            "accuracy": (scores.argmax(1) == labels).float().mean().item(),
            "loss": F.cross_entropy(scores, labels).item(),
        }


experiment = Experiment(
    task=DigitsTask,
    members=8,
    mode="max",
    metric="accuracy",
    space={
        "learning_rate": LogUniform(1e-3, 0.3),
        "momentum": Uniform(0.5, 0.97),
        "weight_decay": LogUniform(1e-6, 1e-2),
        "dropout": Uniform(0.0, 0.6),
    },
    mutator=TruncationSelection(interval=200, fraction=0.25),
    total_steps=2000,
    report_every=100,
)
