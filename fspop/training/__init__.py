"""What a member's training is written with: the Task protocol, the Trainer, schedules, checkpoints.

Importing this package is light; touching a name that needs torch imports torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fspop.training.checkpoint import load_checkpoint, save_checkpoint
from fspop.training.task import Context, Task
from fspop.training.written import SavedCheckpoint

if TYPE_CHECKING:
    from fspop.training import schedules
    from fspop.training.callbacks import Callback
    from fspop.training.history import History
    from fspop.training.inference import describe_checkpoint, load_model
    from fspop.training.lr_finder import LRFinder
    from fspop.training.torch_task import TorchTask
    from fspop.training.trainer import Trainer

__all__ = [
    "Callback",
    "Context",
    "History",
    "LRFinder",
    "SavedCheckpoint",
    "Task",
    "TorchTask",
    "Trainer",
    "describe_checkpoint",
    "load_checkpoint",
    "load_model",
    "save_checkpoint",
    "schedules",
]

_HOMES = {
    "Callback": "callbacks",
    "History": "history",
    "LRFinder": "lr_finder",
    "TorchTask": "torch_task",
    "Trainer": "trainer",
    "describe_checkpoint": "inference",
    "load_model": "inference",
}

if not TYPE_CHECKING:  # a type checker sees the imports above, and so still finds misspelt names

    def __getattr__(name: str) -> Any:
        """Imports a name, and torch with it, at its first use (PEP 562)."""
        if name == "schedules":
            return importlib.import_module("fspop.training.schedules")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"fspop.training.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
