"""An experiment whose members two ranks train: dropout, batch norm, moments, data of each rank."""

import os
import signal
import time

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import fspop.training.ranks
from fspop import Experiment, LogUniform
from fspop.mutators import WinnerTakeAllGenetic
from fspop.seeds import derive_seed
from fspop.training import TorchTask

fspop.training.ranks.GRACE_S = 1.0


def is_asked(variable, rank, step):
    """Whether `variable` is "RANK@STEP", the first time; $MARKER remembers."""
    marker = os.environ.get("MARKER", "")
    if os.environ.get(variable) != f"{rank}@{step}" or os.path.exists(marker):
        return False
    open(marker, "w").close()
    return True


class Net(TorchTask):
    distributed = True

    def build(self, context):
        layers = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4)
        model = nn.Sequential(*layers).to(context.device)
        self.network = DistributedDataParallel(model) if context.world_size > 1 else model
        return model, torch.optim.Adam(model.parameters(), lr=0.01)

    def train_step(self, step):
        rank = self.context.rank
        time.sleep(float(os.environ.get("STEP_S", "0")))
        if is_asked("KILL", rank, step):
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("RAISE") == f"{rank}@{step}":
            raise RuntimeError("the data is gone")
        generator = torch.Generator().manual_seed(derive_seed(self.context.seed, step, rank))
        inputs = torch.randn(16, 8, generator=generator)
        targets = torch.randint(4, (16,), generator=generator).to(self.context.device)
        inputs = inputs.to(self.context.device)
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.network(inputs), targets).backward()
        self.optimizer.step()

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        generator = torch.Generator().manual_seed(5)
        inputs = torch.randn(64, 8, generator=generator)
        targets = torch.randint(4, (64,), generator=generator).to(self.context.device)
        outputs = self.model(inputs.to(self.context.device))
        return nn.functional.cross_entropy(outputs, targets).item()

    def effective_hparams(self):
        if os.environ.get("STUBBORN") == str(self.context.rank):
            return {"learning_rate": 0.5}
        return super().effective_hparams()


experiment = Experiment(
    task=Net,
    members=2,
    mode="min",
    space={"learning_rate": LogUniform(1e-3, 1e-1)},
    mutator=WinnerTakeAllGenetic(steps_per_exploit=10),
    total_steps=30,
    report_every=5,
    lease_timeout_s=5.0,
    tensorboard=False,
)
