"""What does not fit is a named error at construction or at init, never in the middle of a run."""

import pytest

from fspop import Experiment, PopulationController, Space, Uniform
from fspop.errors import InvalidSetting
from fspop.mutators import (
    FIRE,
    PB2,
    Backtracking,
    Bands,
    Bayesian,
    BinaryTournament,
    FixedSchedule,
    IteratedRestarts,
    MultipleFrequencies,
    NaturalSelection,
    Perturb,
    PopulationBased,
    SingleWorkerExplore,
    Truncation,
    TruncationSelection,
    Welch,
    WelchTTest,
    WinnerTakeAllGenetic,
)

SPACE = Space({"lr": Uniform(0.0, 1.0)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # conflicting or impossible intervals
        (lambda: WinnerTakeAllGenetic(), "exactly one"),
        (lambda: WinnerTakeAllGenetic(None, 10, 10.0), "exactly one"),
        (lambda: WinnerTakeAllGenetic(None, 0), "steps_per_exploit: got 0"),
        (lambda: WinnerTakeAllGenetic(None, seconds_per_exploit=-1.0), "seconds_per_exploit"),
        (lambda: TruncationSelection(0), "TruncationSelection.interval: got 0"),
        (lambda: TruncationSelection(10.5), "interval: got 10.5; give a whole number"),
        (lambda: TruncationSelection(float("nan"), time_unit="seconds"), "interval: got nan"),
        (lambda: TruncationSelection(10, burn_in=-1), "burn_in: got -1"),
        (lambda: TruncationSelection(10, time_unit="minutes"), "give one of steps, seconds"),
        (lambda: TruncationSelection(10, patience=5), "only a synchronous strategy waits"),
        (lambda: BinaryTournament(10, synchronous=True, patience=0), "patience: got 0"),
        (lambda: MultipleFrequencies(10, (2, 10)), "ascending, from 1"),
        (lambda: MultipleFrequencies(10, (1, 10, 5)), "ascending, from 1"),
        (lambda: MultipleFrequencies(10, (1,)), "give two or more"),
        (lambda: FIRE(10, start=0), "FIRE.start: got 0"),
        (lambda: FIRE(10, max_eval_steps=0), "max_eval_steps: got 0"),
        (lambda: SingleWorkerExplore(lambda h, d, i: h, 0, 5), "exploit_steps: got 0"),
        (lambda: IteratedRestarts(0), "IteratedRestarts.interval: got 0"),
        # fractions and probabilities out of range
        (lambda: TruncationSelection(10, 0.6), "fraction: got 0.6"),
        (lambda: TruncationSelection(10, 0.0), "fraction: got 0.0"),
        (lambda: TruncationSelection(10, True), "fraction: got True"),
        (lambda: PB2(10, -0.1), "PB2.fraction: got -0.1"),
        (lambda: Backtracking(10, 2), "Backtracking.fraction: got 2"),
        (lambda: FIRE(10, fraction=0.9), "FIRE.fraction: got 0.9"),
        (lambda: Truncation("half"), "Truncation.fraction: got 'half'"),
        (lambda: WelchTTest(10, p=1.0), "WelchTTest.p: got 1.0"),
        (lambda: Welch(1), "n_scores: got 1"),
        (lambda: WelchTTest(10, n_scores=100), "give at most 64"),
        (lambda: NaturalSelection(10, deviations=-1.0), "deviations: got -1.0"),
        (lambda: Bands(least=-1), "Bands.least: got -1"),
        (lambda: Perturb((0.0, 1.2)), "Perturb.factors"),
        (lambda: Perturb(resample_probability=1.5), "resample_probability: got 1.5"),
        (lambda: Bayesian(rows=1), "Bayesian.rows: got 1"),
        (lambda: TruncationSelection(10, elite=-1), "elite: got -1"),
        (lambda: TruncationSelection(10, reference=-1), "reference: got -1"),
        # rules and functions that are none
        (lambda: PopulationBased(10, exploit="truncation"), "give an exploit rule"),
        (lambda: TruncationSelection(10, explore=Perturb), "give Perturb"),
        (lambda: TruncationSelection(10, explore=lambda: {}), r"must take \(hparams\) or"),
        (lambda: WinnerTakeAllGenetic(lambda a, b, c: a, 10), r"must take \(hparams\) or"),
        (lambda: SingleWorkerExplore(lambda h: h, 5, 5), "must take"),
        (lambda: IteratedRestarts(10, explore=Perturb()), "give Bayesian"),
        # schedules
        (lambda: FixedSchedule({-1: {}}), "a step: got -1"),
        (lambda: FixedSchedule({}), "with a first step"),
        (lambda: FixedSchedule([(0, {}), (0, {})]), "give each step once"),
        (lambda: FixedSchedule({1.5: {}}), "a step: got 1.5"),
        (lambda: FixedSchedule([{"lr": 1}]), "pairs of a step and hparams"),
        (lambda: FixedSchedule({0: {"f": print}}), "plain data"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_at_construction(make, message):
    with pytest.raises(InvalidSetting, match=message):
        make()


def boom(hparams):
    raise RuntimeError("boom")


def foreign(hparams):
    return {**hparams, "momentum": 1.0}


@pytest.mark.parametrize(
    ("mutator", "members", "message"),
    [
        (TruncationSelection(10), 1, "population of 1; give at least 2"),
        (TruncationSelection(10, reference=0), 2, "at least 2 members beside the reference"),
        (TruncationSelection(10, reference=5), 4, "members 0 to 3"),
        (TruncationSelection(10, elite=4), 4, "only 4 members compete"),
        (WinnerTakeAllGenetic(None, 10), 1, "at least 2 members"),
        (MultipleFrequencies(10, (1, 10)), 12, "multiple of 8, e.g. 16"),
        (FIRE(10), 8, "for a population of 8"),
        (IteratedRestarts(10), 3, "at least 4"),
        (SingleWorkerExplore(lambda h, d, i: h, 5, 5), 2, "it works with 1"),
        (TruncationSelection(10, explore=boom), 4, "explore: boom fails .* RuntimeError: boom"),
        (TruncationSelection(10, explore=foreign), 4, "returned the key 'momentum'"),
        (WinnerTakeAllGenetic(boom, 10), 4, "mutate_fn: boom fails"),
        (MultipleFrequencies(10, explore=foreign), 8, "returned the key 'momentum'"),
        (FIRE(10, (2, 2, 1), explore=boom), 5, "explore: boom fails"),
        (SingleWorkerExplore(lambda h, d, i: None, 5, 5), 1, "returned None"),
        (TruncationSelection(10, explore=lambda h: {}), 4, "fails on hparams of the space"),
    ],
)
def test_a_population_or_a_function_that_does_not_fit_is_refused_at_init(mutator, members, message):
    more = {"task": object, "members": members, "total_steps": 10, "mutator": mutator}
    with pytest.raises(InvalidSetting, match=message):
        Experiment(space=SPACE, **more)
    with pytest.raises(InvalidSetting, match=message):
        PopulationController([{"lr": 0.1}] * members, mutator, space=SPACE)


@pytest.mark.parametrize(
    ("mutator", "members", "message"),
    [
        (TruncationSelection(10), 4, "the run has no space"),
        (IteratedRestarts(10), 4, "the run has no space"),
        (TruncationSelection(10, explore=boom), 4, "explore: boom fails .* RuntimeError: boom"),
        (WinnerTakeAllGenetic(lambda h: None, 10), 4, "returned None"),
        (MultipleFrequencies(10, explore=boom), 8, "explore: boom fails"),
        (FIRE(10, (2, 2, 1), explore=boom), 5, "explore: boom fails"),
        (SingleWorkerExplore(lambda h, d, i: 1 / 0, 5, 5), 1, "ZeroDivisionError"),
    ],
)
def test_so_is_one_that_fails_on_the_first_hparams_of_a_run_without_a_space(
    mutator, members, message
):
    first = [{"lr": 0.1}] * members
    more = {"task": object, "members": members, "total_steps": 10, "mutator": mutator}
    with pytest.raises(InvalidSetting, match=message):
        Experiment(initial_population=first, **more)
