"""A plain loop: SGD with momentum, dropout, a schedule, a shuffled loader with a seed."""

import os

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from fspop import Experiment, LogUniform, Uniform
from fspop.mutators import TruncationSelection
from fspop.training.integrations import loop_task

INPUTS = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(INPUTS, (INPUTS.sum(1) > 0).long())


def train(member):
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])
    loader = DataLoader(DATA, 8, shuffle=True, generator=torch.Generator().manual_seed(1))

    def loss_of(inputs, labels):
        return F.cross_entropy(model.eval()(inputs), labels).item()

    member.keep(
        model=model, optimizer=optimizer, schedule=schedule, evaluate=lambda: loss_of(*DATA.tensors)
    )
    for _ in member.epochs():
        for inputs, labels in member.batches(loader):
            outputs = model.train()(inputs)
            optimizer.zero_grad()
            F.cross_entropy(outputs, labels, label_smoothing=member.hparams["smooth"]).backward()
            optimizer.step()
            if member.step == int(os.environ.get("DIE_AT", "-1")) and member.context.member == 1:
                os.kill(os.getpid(), 9)
        schedule.step()


experiment = Experiment(
    task=loop_task(train), members=3, mode="min", total_steps=60, report_every=6, seed=3,
    space={
        "learning_rate": LogUniform(1e-3, 0.3),
        "momentum": Uniform(0.5, 0.95),
        "dropout": Uniform(0.0, 0.5),
        "smooth": Uniform(0.0, 0.2),
    },
    mutator=TruncationSelection(interval=18, fraction=0.34, synchronous=True),
)  # fmt: skip
