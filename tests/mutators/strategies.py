"""Every population strategy once, on the deceptive problem's space, for tests that hold for all."""

from fspop.mutators import (
    FIRE,
    PB2,
    Backtracking,
    Bayesian,
    BinaryTournament,
    IteratedRestarts,
    MultipleFrequencies,
    NaturalSelection,
    PopulationBased,
    Tournament,
    TruncationSelection,
    WelchTTest,
    WinnerTakeAllGenetic,
)

MEMBERS = 8

ASYNCHRONOUS = [
    TruncationSelection(20, 0.25),
    BinaryTournament(20),
    WelchTTest(20, n_scores=3, p=0.5),
    NaturalSelection(20),
    Backtracking(20, 0.25),
    PB2(20),
    PopulationBased(40, exploit=Tournament(), reference=0, burn_in=60),
]
SYNCHRONOUS = [
    WinnerTakeAllGenetic(steps_per_exploit=20),
    TruncationSelection(20, 0.25, synchronous=True),
    BinaryTournament(20, synchronous=True),
    WelchTTest(20, n_scores=3, p=0.5, synchronous=True),
    NaturalSelection(20, synchronous=True, elite=2),
    Backtracking(20, 0.25, synchronous=True),
    PopulationBased(40, exploit=Tournament(), reference=0, synchronous=True, burn_in=60),
    MultipleFrequencies(20, (1, 3)),
    FIRE(20, (3, 3, 2)),
    PB2(20, synchronous=True),
    IteratedRestarts(20, explore=Bayesian(rows=40)),
]
EVERY = ASYNCHRONOUS + SYNCHRONOUS


def name_of(mutator):
    return f"{mutator.name}-{'sync' if mutator in SYNCHRONOUS else 'async'}"
