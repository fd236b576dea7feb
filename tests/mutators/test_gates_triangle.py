"""Gate T2: the triangle wave, population 8, 20 seeds."""

import statistics

import pytest

from fspop.mutators import TruncationSelection
from fspop.problems import TriangleWave
from fspop.problems.triangle import SOLVED
from tests.mutators import simulation


def steps_to_solve(mutator, seed):
    found = []

    def saw(member, step, done):
        found.extend(step + i + 1 for i, value in enumerate(done.curve) if value > SOLVED)

    simulation.run(TriangleWave(), mutator, seed, saw=saw, until=lambda p: found)
    return min(found, default=1001)


@pytest.mark.parametrize("synchronous", [False, True])
def test_the_triangle_wave_is_solved(synchronous):
    mutator = TruncationSelection(5, 0.25, synchronous=synchronous)
    steps = [steps_to_solve(mutator, seed) for seed in range(20)]
    assert max(steps) <= 1000 and statistics.median(steps) <= 300


def test_without_exploiting_it_is_not():
    mutator = TruncationSelection(10_000, 0.25)
    solved = sum(steps_to_solve(mutator, seed) <= 1000 for seed in range(2))
    assert solved <= 1
