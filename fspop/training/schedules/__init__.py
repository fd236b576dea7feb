"""Schedules for learning rate and momentum; each resumes exactly."""

from fspop.training.schedules.accuracy import DecayWhenAcc, TriangularDecayWhenAcc
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.cosine import CosineOneCycle, WarmRestart
from fspop.training.schedules.decay import ExponentialDecay, LinearDecay, LogDecay
from fspop.training.schedules.epochs import DecayToEpoch, DecayWhenEpoch, EpochSet
from fspop.training.schedules.named import SCHEDULES, make_schedule
from fspop.training.schedules.optimizers import (
    get_learning_rate,
    get_momentum,
    set_learning_rate,
    set_momentum,
)
from fspop.training.schedules.plots import plot_schedules
from fspop.training.schedules.step import Step
from fspop.training.schedules.torch_schedule import TorchSchedule
from fspop.training.schedules.triangular import (
    InvTriangular,
    Triangular,
    Triangular2,
    Triangular2Exp,
    TriangularExp,
)

__all__ = [
    "SCHEDULES",
    "CosineOneCycle",
    "DecayToEpoch",
    "DecayWhenAcc",
    "DecayWhenEpoch",
    "EpochSet",
    "ExponentialDecay",
    "InvTriangular",
    "LinearDecay",
    "LogDecay",
    "Schedule",
    "Step",
    "TorchSchedule",
    "Triangular",
    "Triangular2",
    "Triangular2Exp",
    "TriangularDecayWhenAcc",
    "TriangularExp",
    "WarmRestart",
    "get_learning_rate",
    "get_momentum",
    "make_schedule",
    "plot_schedules",
    "set_learning_rate",
    "set_momentum",
]
