"""Gate T2: the triangle wave, population 8, 20 seeds."""

import dataclasses
import statistics

import pytest

from fspop.simulation.settings import named_experiment
from fspop.simulation.study import study


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", [False, True])
def test_the_triangle_wave_is_solved(synchronous):
    experiment = named_experiment("triangle", "TruncationSelection")
    mutator = dataclasses.replace(experiment.mutator, synchronous=synchronous)
    (steps,) = study([dataclasses.replace(experiment, mutator=mutator)], range(20))
    assert None not in steps and statistics.median(steps) <= 300


@pytest.mark.slow
def test_without_exploiting_it_seldom_is():
    (steps,) = study([named_experiment("triangle", "RandomSearch")], range(8))
    assert sum(step is None for step in steps) >= 3
