"""The controller: no process, but the state on disk and the one class that writes it."""

from fspop.controller.assignment import Assignment
from fspop.controller.population import PopulationController, new_manifest

__all__ = ["Assignment", "PopulationController", "new_manifest"]
