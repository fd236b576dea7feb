"""Gate T3: the plain and the deceptive problem, means of 10 seeds."""

import statistics

import pytest

from fspop.mutators import FIRE, MultipleFrequencies, Perturb, TruncationSelection
from fspop.problems import Deceptive, Plain
from fspop.seeds import Rng
from tests.mutators import simulation

HALF_OR_DOUBLE = Perturb((0.5, 2.0), resample_probability=0.0)
SEEDS = range(10)


def mean_reached(problem, mutator, **more):
    return statistics.fmean(
        simulation.final_best(simulation.run(problem, mutator, seed, **more)) for seed in SEEDS
    )


def following(problem, h):
    """The result of a given schedule of h by round."""
    params = problem.begin(0)
    for i in range(problem.total_steps // problem.round_steps):
        params, value, _ = problem.train(params, {"h": h(i)}, problem.round_steps, None)
    return value


def random_search(problem, seed):
    rng = Rng(seed, [0] * 22)
    first = [problem.first_hparams(i, rng.member(i, "initial"))["h"] for i in range(22)]
    return max(following(problem, lambda _, h=h: h) for h in first)


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
def test_greedy_selection_wins_the_plain_problem_and_loses_the_deceptive_one():
    mutator = TruncationSelection(20, 5 / 22, explore=HALF_OR_DOUBLE, synchronous=True)
    assert mean_reached(Plain(), mutator) >= 1.1995
    reached = mean_reached(Deceptive(), mutator)
    assert reached <= 1.0
    assert reached < statistics.fmean(random_search(Deceptive(), seed) for seed in SEEDS)


@pytest.mark.slow
def test_multiple_frequencies_are_not_greedy():
    mutator = MultipleFrequencies(20, (1, 10), explore=HALF_OR_DOUBLE)
    assert mean_reached(Deceptive(), mutator, members=24) >= 1.17


@pytest.mark.slow
def test_fire_is_not_greedy():
    mutator = FIRE(20, (8, 8, 6), explore=HALF_OR_DOUBLE, start=20, max_eval_steps=60)
    reached = []
    for seed in SEEDS:
        p = simulation.run(Deceptive(), mutator, seed)
        first = p.state.members[:8]  # the result is the best of P1
        reached.append(max(m.generation.evaluations[-1].value for m in first))
    assert statistics.fmean(reached) >= 1.14
