"""Every strategy, on the deceptive problem's space, for tests that hold for all."""

from fspop.mutators import (
    FIRE,
    PB2,
    Backtracking,
    Bayesian,
    BinaryTournament,
    FixedSchedule,
    IteratedRestarts,
    MultipleFrequencies,
    NaturalSelection,
    PopulationBased,
    SingleWorkerExplore,
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
    TruncationSelection(20.0, 0.25, time_unit="seconds", burn_in=20.0),
    BinaryTournament(1.5, time_unit="epochs"),
]
SYNCHRONOUS = [
    WinnerTakeAllGenetic(steps_per_exploit=20),
    WinnerTakeAllGenetic(seconds_per_exploit=20.0, average_over_samples=False),
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
    TruncationSelection(20.0, 0.25, time_unit="seconds", synchronous=True),
    NaturalSelection(1.5, time_unit="epochs", synchronous=True, burn_in=3.0),
]
EVERY = ASYNCHRONOUS + SYNCHRONOUS


def moved(hparams, direction, phase):
    """The step of a line search: deterministic, up or down."""
    return {"h": hparams["h"] + (0.1 if direction == "pos" else -0.1)}


ALONE = [
    FixedSchedule({0: {"h": 0.9}, 60: {"h": 0.5}, 130: {"h": 0.2}}),
    SingleWorkerExplore(moved, exploit_steps=40, explore_steps=20),
]
"""Those that work with one member."""


def name_of(mutator):
    unit = getattr(mutator, "time_unit", "steps")
    kind = "alone" if mutator in ALONE else "sync" if mutator in SYNCHRONOUS else "async"
    return f"{mutator.name}-{kind}{'' if unit == 'steps' else f'-{unit}'}"
