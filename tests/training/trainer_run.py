"""Trainers of several kinds, each small; as a script one of them in a process of its own.

python -m tests.training.trainer_run CASE FOLDER: resumes and fits, printing every iteration.
"""

import random
import sys

import torch
from torch import nn
from torch.utils.data import Dataset

from fspop.training import Callback, Trainer
from fspop.training.schedules import WarmRestart

N_SAMPLES, BATCH_SIZE, NUM_EPOCHS = 60, 8, 4
ITERATIONS = NUM_EPOCHS * (N_SAMPLES // BATCH_SIZE)


class Noisy(Dataset):
    """Points of two classes; each look at one adds noise, so the random numbers matter."""

    strength = 0.1

    def __init__(self, n=N_SAMPLES):
        generator = torch.Generator().manual_seed(1)
        self.points = torch.randn(n, 4, generator=generator)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        point = self.points[index]
        noise = torch.randn(4) * self.strength + random.gauss(0, 0.01)
        return point + noise, int(point.sum() > 0)


def make_model(width=16):
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 2)
    )


COMMON = {
    "batch_size": BATCH_SIZE,
    "num_epochs": NUM_EPOCHS,
    "learning_rate": 0.05,
    "verbose": False,
    "save_every": 3,
    "seed": 7,
}
CASES = {
    "sgd": {"optim_function": "SGD", "momentum": 0.9},
    "adam": {"optim_function": "Adam", "num_workers": 2},
    "restarts": {
        "optim_function": "SGD",
        "momentum": 0.9,
        "lr_scheduler": lambda: WarmRestart(lr_min=1e-3, lr_max=0.1, stepsize=4, keep_history=True),
        "num_workers": 2,
    },
    "accumulated": {"optim_function": "AdamW", "accumulate_steps": 3, "clip_grad_norm": 0.5},
}


def make_trainer(case, folder, **changes):
    options = {**COMMON, **CASES[case], "checkpoint_dir": folder, **changes}
    if callable(options.get("lr_scheduler")):
        options["lr_scheduler"] = options["lr_scheduler"]()
    return Trainer(
        make_model, train_dataset=Noisy(), val_dataset=Noisy(20), test_dataset=Noisy(20), **options
    )


class Talker(Callback):
    def after_step(self, trainer):
        print(trainer.iteration, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trainer = make_trainer(sys.argv[1], sys.argv[2], callbacks=[Talker()])
    trainer.resume()
    trainer.fit()
    trainer.save()
