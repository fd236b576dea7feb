"""Strategies on toy problems with known answers: in memory in seconds, or as experiments."""

from fspop.simulation.measure import decisions, final_best, result, steps_to_solve
from fspop.simulation.population import Simulation
from fspop.simulation.settings import named_experiment
from fspop.simulation.toy import Toy, toy_experiment

__all__ = [
    "Simulation",
    "Toy",
    "decisions",
    "final_best",
    "named_experiment",
    "result",
    "steps_to_solve",
    "toy_experiment",
]
