"""The public face of fspop: light to import; a name costs its room only once touched."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fspop.controller import PopulationController
    from fspop.experiment import Experiment
    from fspop.space import (
        Boolean,
        Choice,
        Integer,
        LogUniform,
        Ordinal,
        Quantized,
        Space,
        Uniform,
        When,
    )

__version__ = "0.1.0"

__all__ = [
    "Boolean",
    "Choice",
    "Experiment",
    "Integer",
    "LogUniform",
    "Ordinal",
    "PopulationController",
    "Quantized",
    "Space",
    "Uniform",
    "When",
    "__version__",
]

_HOMES = {"PopulationController": "fspop.controller", "Experiment": "fspop.experiment"}

if not TYPE_CHECKING:  # a type checker sees the imports above, and so still finds misspelt names

    def __getattr__(name: str) -> Any:
        """Imports a public name at its first use (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module 'fspop' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES.get(name, "fspop.space")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
