import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.errors import InvalidSetting
from fspop.mutators import PB2, Bayesian, BinaryTournament
from fspop.mutators.bandit import play, probabilities
from fspop.mutators.bayesian import standardised
from fspop.mutators.coordinates import coordinates, with_coordinates
from fspop.mutators.explore import Past, Row
from fspop.mutators.gaussian_process import Kernel, Model, Points, fitted
from fspop.problems import Plain
from fspop.space import Boolean, Choice, Integer, LogUniform, Ordinal, Quantized, Space, Uniform
from tests.mutators import simulation

SPACE = Space(
    {
        "lr": LogUniform(1e-6, 1.0),
        "momentum": Uniform(0.0, 1.0),
        "net": {"width": Integer(1, 64, log=True), "drop": Quantized(0.0, 0.5, 0.1)},
        "act": Choice(["relu", "tanh", 1, True]),
        "depth": Ordinal([1, 2, 4]),
        "norm": Boolean(),
        "constant": 3,
    }
)


def learned(rule, space, n, gain_of, members=8, seed=0):
    rng, memory = random.Random(seed), {}
    for i in range(n):
        hparams, step = space.sample(rng), 10 * (i // members)
        memory = rule.learned(memory, Row(step, 10, step / 10, hparams, gain_of(hparams, i)), space)
    return memory, Past(memory, "max", 10 * n // members, n / members, [])


@given(st.integers(0, 2**32))
def test_coordinates_lead_back_to_the_hparams(seed):
    hparams = SPACE.sample(random.Random(seed))
    found = coordinates(SPACE, hparams)
    back = with_coordinates(SPACE, hparams, found, random.Random(0))
    assert back["lr"] == pytest.approx(hparams["lr"])
    assert back["momentum"] == pytest.approx(hparams["momentum"])
    assert {**back, "lr": 0, "momentum": 0} == {**hparams, "lr": 0, "momentum": 0}
    assert type(back["act"]) is type(hparams["act"])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_proposals_are_within_the_space(seed):
    rule, rng = Bayesian(), random.Random(seed)
    _, past = learned(rule, SPACE, 30, lambda h, i: rng.gauss(0, 1), seed=seed)
    hparams = SPACE.sample(rng)
    for _ in range(3):
        hparams = rule.apply(hparams, SPACE, rng, past)
        assert SPACE.contains(hparams)


def test_what_gained_most_is_proposed():
    space = Space({"x": Uniform(0, 10), "y": Uniform(0, 1), "kind": Choice(["a", "b", "c"])})

    def gain(h, i):
        return -((h["x"] - 7) ** 2) / 10 + (8.0 if h["kind"] == "b" else 0.0)

    rule = Bayesian()
    _, past = learned(rule, space, 150, gain)
    given = {"x": 1.0, "y": 0.5, "kind": "a"}
    found = [rule.apply(given, space, random.Random(seed), past) for seed in range(40)]
    assert abs(statistics.median(h["x"] for h in found) - 7) < 1.5
    assert statistics.mode(h["kind"] for h in found) == "b"


def test_what_is_being_tried_already_is_not_proposed_again():
    space, rule = Space({"x": Uniform(0, 1)}), Bayesian()
    _, past = learned(rule, space, 40, lambda h, i: random.Random(i).gauss(0, 1))
    alone = rule.apply({"x": 0.5}, space, random.Random(0), past)
    running = [(past.step, past.score, alone)] * 7
    beside = rule.apply({"x": 0.5}, space, random.Random(0), past._replace(running=running))
    assert abs(beside["x"] - alone["x"]) > 0.05


def test_without_anything_to_go_by_it_perturbs():
    rule, hparams = Bayesian(), SPACE.sample(random.Random(0))
    _, past = learned(rule, SPACE, 3, lambda h, i: 0.0)
    for known in (None, past, past._replace(score=None)):
        assert SPACE.contains(rule.apply(hparams, SPACE, random.Random(0), known))


def test_gains_without_any_spread_are_survived():
    rule = Bayesian()
    _, past = learned(rule, SPACE, 20, lambda h, i: 1.0)
    assert SPACE.contains(rule.apply(SPACE.sample(random.Random(0)), SPACE, random.Random(0), past))
    assert standardised([1.0, 1.0]) == [0.0, 0.0]
    assert max(standardised([0.0] * 99 + [1000.0])) == 2.0


def test_the_memory_is_bounded_and_one_row_changes_little_of_it():
    rule = Bayesian(rows=10)
    memory, _ = learned(rule, SPACE, 100, lambda h, i: float(i))
    assert sorted(map(int, memory["rows"])) == list(range(90, 100))


def test_a_proposal_after_1000_observations_goes_by_the_newest_200():
    """Which keeps it quick: benchmarks/proposals.py measures how quick."""
    rule = Bayesian()
    hparams, proposed = SPACE.sample(random.Random(0)), []
    for long_ago in (1.0, 1e6):
        gains = [long_ago] * 800 + [0.01 * i for i in range(200)]
        memory, past = learned(rule, SPACE, 1000, lambda h, i, gains=gains: gains[i])
        assert len(memory["rows"]) == 200
        proposed.append(rule.apply(hparams, SPACE, random.Random(1), past))
    assert proposed[0] == proposed[1] and SPACE.contains(proposed[0])


def points(numbers, times=None):
    n = len(numbers)
    return Points(
        np.array(numbers, float).reshape(n, -1),
        np.zeros((n, 0)),
        np.array(times or [0.0] * n, float),
    )


def test_the_kernel_falls_with_distance_and_time():
    kernel = Kernel(length=2.0, forgetting=0.5)
    covariance = kernel.between(points([0, 0], [0, 2]), points([0, 1], [0, 0]))
    assert covariance == pytest.approx(np.array([[1, np.exp(-0.5)], [0.5, 0.5 * np.exp(-0.5)]]))


def test_the_fit_finds_noise_and_smoothness():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 80)
    smooth = fitted(points(x), np.sin(6 * x))
    rough = fitted(points(x), rng.normal(size=80))
    assert smooth.noise == 0.01 and rough.noise == 1.0
    assert smooth.length < 5


def test_pending_places_lower_the_deviation_and_leave_the_mean():
    known, gains = points([0.0, 0.3, 0.9]), np.array([1.0, -1.0, 0.0])
    at, none = points([0.6]), Points(np.zeros((0, 1)), np.zeros((0, 0)), np.zeros(0))
    without, with_it = Model(known, gains, none), Model(known, gains, at)
    assert with_it.upper_bound(at)[0] < without.upper_bound(at)[0]
    assert with_it._weights == pytest.approx(without._weights)


def test_a_bandit_finds_what_pays_and_forgets_what_did():
    rng, plays = random.Random(0), []
    for i in range(400):
        option = play(3, plays[-100:], rng)
        pays = 0 if i < 200 else 2
        plays.append((option, float(option == pays)))
    first = [option for option, _ in plays[100:200]]
    second = [option for option, _ in plays[300:]]
    assert first.count(0) > 60 and second.count(2) > 60
    assert min(probabilities(3, [(0, 1.0)] * 50)) > 0 and play(1, [], rng) == 0


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_population_learns_in_both_modes(mode):
    class Either(Plain):
        total_steps = 400

        def train(self, params, hparams, n_steps, seed):
            done = super().train(params, hparams, n_steps, seed)
            return done if mode == "max" else done._replace(value=-done.value)

    p = simulation.run(Either(), PB2(20, synchronous=True), 0, members=8, mode=mode)
    assert p.state.mutator["model"]["next"] > 100
    late = [b.hparams["h"] for b in p.events if b.origin.step >= 200]
    assert statistics.median(late) < 0.3  # the smaller, the faster


def test_it_solves_the_plain_problem():
    p = simulation.run(Plain(), PB2(20, synchronous=True), 0, members=8)
    assert simulation.final_best(p.state) >= 1.1995


def test_the_model_goes_with_any_exploit_rule():
    mutator = BinaryTournament(20, explore=Bayesian(rows=50))
    p = simulation.run(Plain(), mutator, 0, members=4, total_steps=200)
    assert len(p.state.mutator["model"]["rows"]) >= 4


def test_bad_settings_name_the_field():
    with pytest.raises(InvalidSetting, match=r"Bayesian\.rows: got 3"):
        Bayesian(rows=3)
    with pytest.raises(InvalidSetting, match=r"PB2\.interval: got 0"):
        PB2(0)
    with pytest.raises(InvalidSetting, match=r"PB2\.fraction"):
        PB2(5, 0.9)
    with pytest.raises(InvalidSetting, match="has no space"):
        PB2(5).check(4, None)
