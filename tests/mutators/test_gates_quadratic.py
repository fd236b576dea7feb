"""Gate T1: figure 2 of arXiv:1711.09846, 20 seeds."""

import pytest

from fspop.mutators import BinaryTournament, PopulationBased, Truncation, TruncationSelection
from fspop.problems import Quadratic, nudged
from tests.mutators import simulation

PAIR = TruncationSelection(5, fraction=0.5, explore=nudged, synchronous=True)


def reached(mutator, seed):
    return simulation.final_best(simulation.run(Quadratic(), mutator, seed))


def test_without_exploiting_both_stay_at_039():
    nobody = TruncationSelection(10_000, fraction=0.5, explore=nudged)
    assert reached(nobody, 0) <= 0.391


@pytest.mark.parametrize(
    "mutator",
    [
        PAIR,
        BinaryTournament(5, explore=nudged, synchronous=True),
        PopulationBased(5, exploit=Truncation(0.5), explore=nudged, synchronous=True),
    ],
)
def test_population_based_training_reaches_119_in_19_of_20_seeds(mutator):
    assert sum(reached(mutator, seed) >= 1.19 for seed in range(20)) >= 19


def test_who_copies_takes_weights_and_hparams_and_the_winner_is_untouched():
    p = simulation.run(Quadratic(), PAIR, 0, until=lambda p: p.events)
    (born,) = p.events
    assert born.member == 1 and born.origin.generation == "m000.g0000"  # a tie goes to the lowest
    assert born.hparams["h0"] > 0.5 > born.hparams["h1"]
