"""A LightningModule: SGD with momentum, dropout, a schedule, a shuffled loader with a seed."""

import os

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from fspop import Choice, Experiment, LogUniform, Uniform
from fspop.mutators import TruncationSelection
from fspop.training.integrations import LightningTask

INPUTS = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(INPUTS, (INPUTS.sum(1) > 0).long())


class Lit(pl.LightningModule):
    def __init__(self, learning_rate=0.1, smooth=0.0):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))

    def training_step(self, batch):
        inputs, labels = batch
        loss = F.cross_entropy(self.net(inputs), labels, label_smoothing=self.hparams.smooth)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch):
        inputs, labels = batch
        self.log("val_loss", F.cross_entropy(self.net(inputs), labels))

    def configure_optimizers(self):
        rate = self.hparams.learning_rate
        optimizer = torch.optim.SGD(self.parameters(), lr=rate, momentum=0.9)
        schedule = CosineAnnealingLR(optimizer, self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Counter(pl.Callback):
    """Stateful, as callbacks are; and the one that dies."""

    seen = 0

    def __init__(self, member):
        self.member = member

    def on_train_batch_end(self, trainer, *_):
        self.seen += 1
        if trainer.global_step == int(os.environ.get("DIE_AT", "-1")) and self.member == 1:
            os.kill(os.getpid(), 9)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class Member(LightningTask):
    def build(self, context):
        self.trainer_options = {"callbacks": [Counter(context.member)]}
        loader = DataLoader(DATA, 8, shuffle=True, generator=torch.Generator().manual_seed(1))
        return Lit(), (loader, DataLoader(DATA, 40))


experiment = Experiment(
    task=Member, members=3, mode="min", metric="val_loss", total_steps=60, report_every=6, seed=3,
    space={
        "learning_rate": LogUniform(1e-3, 0.3),
        "momentum": Uniform(0.5, 0.95),
        "dropout": Uniform(0.0, 0.5),
        "smooth": Uniform(0.0, 0.2),
        "batch_size": Choice([8, 10]),
    },
    mutator=TruncationSelection(interval=18, fraction=0.34, synchronous=True),
)  # fmt: skip
