"""Training loops that somebody else owns as tasks: a plain one, Lightning, Hugging Face's Trainer.

Importing this is light; a name costs torch, and the library it is about, once it is touched.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fspop.training.integrations.lightning import LightningTask
    from fspop.training.integrations.loop import LoopTask, loop_task
    from fspop.training.integrations.transformers import TransformersTask

__all__ = ["LightningTask", "LoopTask", "TransformersTask", "loop_task"]

_HOMES = {
    "LightningTask": "lightning",
    "LoopTask": "loop",
    "TransformersTask": "transformers",
    "loop_task": "loop",
}

if not TYPE_CHECKING:  # a type checker sees the imports above, and so still finds misspelt names

    def __getattr__(name: str) -> Any:
        """Imports a name, and torch with it, at its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = importlib.import_module(f"fspop.training.integrations.{_HOMES[name]}")
        value = getattr(home, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
