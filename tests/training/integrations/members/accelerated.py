"""A plain loop over what accelerate has prepared."""

import os

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from fspop import Experiment, LogUniform, Uniform
from fspop.mutators import TruncationSelection
from fspop.training.integrations import loop_task

INPUTS = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(INPUTS, (INPUTS.sum(1) > 0).long())


def train(member):
    accelerator = Accelerator(cpu=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, member.context.total_steps)
    loader = DataLoader(DATA, 8, shuffle=True)
    model, optimizer, schedule, loader = accelerator.prepare(model, optimizer, schedule, loader)

    def loss():
        inputs, labels = DATA.tensors
        return F.cross_entropy(model.eval()(inputs), labels).item()

    member.keep(model=model, optimizer=optimizer, schedule=schedule, evaluate=loss)
    for _ in member.epochs():
        for inputs, labels in member.batches(loader):
            accelerator.backward(F.cross_entropy(model.train()(inputs), labels))
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if member.step == int(os.environ.get("DIE_AT", "-1")) and member.context.member == 1:
                os.kill(os.getpid(), 9)


experiment = Experiment(
    task=loop_task(train), members=3, mode="min", total_steps=60, report_every=6, seed=3,
    space={
        "learning_rate": LogUniform(1e-3, 0.3),
        "momentum": Uniform(0.5, 0.95),
        "dropout": Uniform(0.0, 0.5),
    },
    mutator=TruncationSelection(interval=18, fraction=0.34, synchronous=True),
)  # fmt: skip
