"""Toy problems with known answers, to try a strategy on in seconds. No torch, no numpy."""

from fspop.problems.base import Problem, Trained
from fspop.problems.deception import Deceptive, Plain
from fspop.problems.quadratic import Quadratic, nudged
from fspop.problems.triangle import TriangleWave

PROBLEMS: dict[str, type[Problem]] = {
    "quadratic": Quadratic,
    "triangle": TriangleWave,
    "plain": Plain,
    "deceptive": Deceptive,
}
"""By the name that commands use."""

__all__ = [
    "PROBLEMS",
    "Deceptive",
    "Plain",
    "Problem",
    "Quadratic",
    "Trained",
    "TriangleWave",
    "nudged",
]
