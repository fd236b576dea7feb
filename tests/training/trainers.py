"""A tiny classification problem and trainers of it."""

import contextlib
import resource

import torch
from torch import nn
from torch.utils.data import TensorDataset

from fspop.training import Trainer


def points(n=80, seed=0):
    """Two classes of points, easily told apart."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 4, generator=generator)
    return TensorDataset(inputs, (inputs.sum(1) > 0).long())


class Net(nn.Module):
    """Layers of every kind that matters here: `body` has batch norm and dropout, `head` has not."""

    def __init__(self, width=6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.2))
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


def make(tmp_path, kind=Trainer, model=Net, **options):
    """A silent, seeded trainer with ten batches an epoch."""
    given = {"train_dataset": points(), "val_dataset": points(30, seed=1), "learning_rate": 0.01}
    given |= {"batch_size": 8, "verbose": False, "seed": 0, "num_epochs": 2}
    return kind(model, **{**given, "checkpoint_dir": tmp_path / "checkpoint", **options})


def files(trainer):
    return sorted(path.name for path in trainer.checkpoints.folder.iterdir())


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@contextlib.contextmanager
def full_disk(limit=2000):
    """No file of this process grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
