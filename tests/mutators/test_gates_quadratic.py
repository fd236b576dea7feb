"""Gate T1: figure 2 of arXiv:1711.09846, 20 seeds."""

import dataclasses

import pytest

from fspop.records import Born
from fspop.simulation import Simulation
from fspop.simulation.settings import named_experiment
from fspop.simulation.study import simulated


def test_without_exploiting_both_stay_at_039():
    assert simulated(named_experiment("quadratic", "RandomSearch")) <= 0.391


@pytest.mark.slow
@pytest.mark.parametrize("mutator", ["TruncationSelection", "BinaryTournament", "PopulationBased"])
def test_population_based_training_reaches_119_in_19_of_20_seeds(mutator):
    experiment = named_experiment("quadratic", mutator)
    seeds = [dataclasses.replace(experiment, seed=seed) for seed in range(20)]
    assert sum(simulated(seed) >= 1.19 for seed in seeds) >= 19


def test_who_copies_takes_weights_and_hparams_and_the_winner_is_untouched():
    p = Simulation(named_experiment("quadratic", "TruncationSelection"))
    p.run(until=lambda: p.state.n_decisions > 0)
    (born,) = [op for op in list(p.records())[-1].ops if isinstance(op, Born)]
    assert born.member == 1 and born.origin.generation == "m000.g0001"  # a tie goes to the lowest
    assert born.hparams["h0"] > 0.5 > born.hparams["h1"]
