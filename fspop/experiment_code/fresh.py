"""Starting another Python that sees this fspop and nothing of the current folder."""

import os
import sys
import sysconfig
from pathlib import Path

_PARENT = str(Path(__file__).parents[2])  # of the package


def python_command() -> list[str]:
    """The interpreter, told not to import from where it happens to be started (-P)."""
    return [sys.executable, "-P"]


def python_environment() -> dict[str, str]:
    """What to add to the environment so that fspop can be imported there as it was here."""
    if _PARENT in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return {"PYTHONPATH": os.pathsep.join([*(p for p in others if p != _PARENT), _PARENT])}
