"""Gate T3: the plain and the deceptive problem, means of 10 seeds."""

import statistics

import pytest

from fspop.problems import Deceptive, Plain
from fspop.simulation.settings import named_experiment
from fspop.simulation.study import study

SEEDS = range(10)


def means(problem, *mutators):
    found = study([named_experiment(problem, name) for name in mutators], SEEDS)
    return [statistics.fmean(values) for values in found]


def following(problem, h):
    """The result of a given schedule of h by round."""
    params = problem.begin(0)
    for i in range(problem.total_steps // problem.round_steps):
        params, value, _ = problem.train(params, {"h": h(i)}, problem.round_steps, 0)
    return value


@pytest.mark.parametrize(
    ("h", "plain", "deceptive"),
    [
        (lambda i: 1.0, 1.1852, 0.9546),
        (lambda i: 0.9, 1.1901, 1.0505),
        (lambda i: 1e-4, 1.1997, 0.8270),
        (lambda i: 1 - i / 50, 1.1979, 1.1979),
    ],
)
def test_fixed_schedules_give_the_published_figures(h, plain, deceptive):
    assert following(Plain(), h) == pytest.approx(plain, abs=1e-4)
    assert following(Deceptive(), h) == pytest.approx(deceptive, abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_greedy_selection_wins_the_plain_problem():
    (reached,) = means("plain", "TruncationSelection")
    assert reached >= 1.1995


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_greedy_selection_loses_the_deceptive_problem_even_to_random_search():
    reached, chance = means("deceptive", "TruncationSelection", "RandomSearch")
    assert reached <= 1.0 and reached < chance


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_multiple_frequencies_and_fire_are_not_greedy():
    frequencies, fire = means("deceptive", "MultipleFrequencies", "FIRE")
    assert frequencies >= 1.17 and fire >= 1.14
