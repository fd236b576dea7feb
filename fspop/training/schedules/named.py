"""Schedules by name, for settings that come as text or plain data."""

import dataclasses
from typing import Any

from fspop.errors import InvalidSetting
from fspop.training.nearest import hint
from fspop.training.schedules.accuracy import DecayWhenAcc, TriangularDecayWhenAcc
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.cosine import CosineOneCycle, WarmRestart
from fspop.training.schedules.decay import ExponentialDecay, LinearDecay, LogDecay
from fspop.training.schedules.epochs import DecayToEpoch, DecayWhenEpoch, EpochSet
from fspop.training.schedules.step import Step
from fspop.training.schedules.torch_schedule import TorchSchedule
from fspop.training.schedules.triangular import (
    InvTriangular,
    Triangular,
    Triangular2,
    Triangular2Exp,
    TriangularExp,
)

_CLASSES: tuple[type[Schedule], ...] = (
    Step,
    LinearDecay,
    LogDecay,
    ExponentialDecay,
    WarmRestart,
    CosineOneCycle,
    Triangular,
    InvTriangular,
    Triangular2,
    TriangularExp,
    Triangular2Exp,
    EpochSet,
    DecayWhenAcc,
    TriangularDecayWhenAcc,
    DecayWhenEpoch,
    DecayToEpoch,
    TorchSchedule,
)
SCHEDULES: dict[str, type[Schedule]] = {cls.__name__: cls for cls in _CLASSES}


def make_schedule(kind: str | type[Schedule], **settings: Any) -> Schedule:
    """The schedule of this class name, or class, with these settings.

    Raises InvalidSetting for an unknown name or setting and says which existing one is nearest.
    """
    cls = schedule_class(kind)
    known = [f.name for f in dataclasses.fields(cls) if f.init]
    for setting in settings:
        if setting not in known:
            found = hint(setting, known)
            raise InvalidSetting(f"{cls.__name__} has no setting {setting!r}; {found}")
    return cls(**settings)


def schedule_class(kind: str | type[Schedule]) -> type[Schedule]:
    """The class of this name, or the class itself, which may be one of your own."""
    if isinstance(kind, type) and issubclass(kind, Schedule):
        return kind
    if kind not in SCHEDULES:
        raise InvalidSetting(f"no schedule is named {kind!r}; {hint(str(kind), SCHEDULES)}")
    return SCHEDULES[str(kind)]
