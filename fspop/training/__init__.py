"""What a member's training is written with: the Task protocol, a base class for torch, checkpoints.

Importing this package is light; touching `TorchTask` imports torch.
"""

from typing import TYPE_CHECKING, Any

from fspop.training.checkpoint import SavedCheckpoint, load_checkpoint, save_checkpoint
from fspop.training.task import Context, Task

if TYPE_CHECKING:
    from fspop.training.torch_task import TorchTask

__all__ = [
    "Context",
    "SavedCheckpoint",
    "Task",
    "TorchTask",
    "load_checkpoint",
    "save_checkpoint",
]

if not TYPE_CHECKING:  # a type checker sees the import above, and so still finds misspelt names

    def __getattr__(name: str) -> Any:
        """Imports `TorchTask`, and torch with it, at its first use (PEP 562)."""
        if name != "TorchTask":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from fspop.training.torch_task import TorchTask

        return TorchTask
