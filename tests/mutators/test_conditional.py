"""Every strategy and every explore rule in a space whose hparams depend on each other."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.errors import InvalidSetting
from fspop.mutators import Bayesian, Perturb, SingleWorkerExplore, TruncationSelection
from fspop.mutators.coordinates import coordinates, with_coordinates
from fspop.mutators.explore import Past, Row, explore, resampled
from fspop.problems import Plain
from fspop.space import Boolean, Choice, Integer, Space, Uniform, When
from tests.mutators import simulation
from tests.mutators.strategies import EVERY, MEMBERS, name_of
from tests.test_space_conditions import SPACE


class Conditional(Plain):
    """The plain problem, with an h for each kind."""

    total_steps = 300
    space = Space(
        {
            "kind": Choice(["slow", "fast"]),
            "h": When("kind", "fast", Uniform(1e-4, 1.1)),
            "slow": When("kind", "slow", {"h": Uniform(0.5, 1.1), "twice": Boolean()}),
            "depth": Integer(1, 3),
            "extra": When("depth", 3, Uniform(0.1, 1)),
        }
    )

    def first_hparams(self, member, rng):
        return self.space.sample(rng)

    def train(self, params, hparams, n_steps, rng):
        h = hparams["h"] if hparams["kind"] == "fast" else hparams["slow"]["h"]
        return super().train(params, {"h": h}, n_steps, rng)


@pytest.mark.parametrize("mutator", EVERY, ids=name_of)
def test_every_strategy_keeps_to_the_conditions_and_restarts_the_same(mutator):
    plays = [
        simulation.run(Conditional(), mutator, seed=1, members=MEMBERS, restarted=restarted)
        for restarted in (False, True)
    ]
    assert plays[0].events == plays[1].events and plays[0].events
    for born in plays[0].events:
        own = {k: v for k, v in born.hparams.items() if k != "restart"}
        assert Conditional.space.contains(own), born
    assert len({born.hparams["kind"] for born in plays[0].events}) == 2


def learned(rule, space, n, gain_of, rng):
    memory = {}
    for i in range(n):
        h = space.sample(rng)
        memory = rule.learned(memory, Row(10 * i, 10, i / 10, h, gain_of(h)), space)
    running = [(10 * n, 1.0, space.sample(rng)) for _ in range(3)]
    return Past(memory, "max", 10 * n, n / 10, running)


RULES = [Perturb(), resampled(Perturb()), Perturb((0.5, 2), 0.05), Bayesian()]


@pytest.mark.parametrize("rule", RULES, ids=str)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_explore_rule_keeps_to_the_conditions(rule, seed):
    rng = random.Random(seed)
    past = learned(rule, SPACE, 30, lambda h: rng.gauss(0, 1), rng) if rule.learns else None
    hparams = SPACE.sample(rng)
    for _ in range(3 if rule.learns else 300):
        hparams = explore(rule, hparams, SPACE, rng, past)
        assert SPACE.contains(hparams)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_coordinates_of_conditional_hparams_lead_back_to_them(seed):
    hparams = SPACE.sample(random.Random(seed))
    found = coordinates(SPACE, hparams)
    assert len(found) == len(SPACE.leaves()) and None in found
    back = with_coordinates(SPACE, hparams, found, random.Random(0))
    assert SPACE.contains(back) and back["optimizer"] == hparams["optimizer"]
    assert coordinates(SPACE, back) == pytest.approx(found, abs=1e-9)


def test_the_model_proposes_the_good_value_of_a_conditional_hparam():
    space = Space({"kind": Choice(["a", "b"]), "x": When("kind", "b", Uniform(0, 10))})
    rng = random.Random(0)
    gain = lambda h: 8 - (h["x"] - 7) ** 2 / 10 if "x" in h else 0.0  # noqa: E731
    past = learned(Bayesian(), space, 150, gain, rng)
    start = {"kind": "b", "x": 1.0}
    found = [explore(Bayesian(), start, space, random.Random(s), past) for s in range(30)]
    with_x = [h["x"] for h in found if "x" in h]
    assert len(with_x) > 20 and abs(sorted(with_x)[len(with_x) // 2] - 7) < 1.5


def flip(hparams):
    """Changes the optimizer, and leaves the rest as it was."""
    order = ["sgd", "adam", "lion"]
    return {**hparams, "optimizer": order[(order.index(hparams["optimizer"]) + 1) % 3]}


def test_a_function_of_the_user_may_flip_what_others_depend_on():
    rng = random.Random(0)
    hparams = SPACE.sample(rng)
    for _ in range(300):
        before, hparams = hparams["optimizer"], explore(flip, hparams, SPACE, rng)
        assert SPACE.contains(hparams) and hparams["optimizer"] != before


def test_a_function_that_appears_to_work_but_fails_under_a_condition_is_refused_at_init():
    def forgets(hparams):
        return {**hparams, "momentum": hparams["momentum"] * 1.01}

    with pytest.raises(
        InvalidSetting, match=r"fails on hparams of the space: KeyError: 'momentum'"
    ):
        TruncationSelection(10, explore=forgets).check(8, SPACE)
    with pytest.raises(InvalidSetting, match="KeyError: 'momentum'"):
        SingleWorkerExplore(lambda h, d, p: forgets(h), 1, 1).check(1, SPACE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: {k: v for k, v in h.items() if k != "betas"}, "left out the key 'betas.one'"),
        (lambda h: {**h, "betas": {"one": 1}, "momentumm": 1}, "the key 'momentumm'"),
        (lambda h: {**h, "optimizer": "sgdd"}, "hparams.optimizer"),
    ],
)
def test_keys_that_are_lost_or_foreign_are_named(change, message):
    hparams = {**SPACE.sample(random.Random(0)), "optimizer": "adam"}
    hparams = SPACE.clip(hparams, random.Random(0))
    with pytest.raises(InvalidSetting, match=message):
        explore(change, hparams, SPACE, random.Random(0))


def test_a_line_search_may_flip_too():
    strategy = SingleWorkerExplore(lambda h, direction, phase: flip(h), 20, 20)
    p = simulation.run(ConditionalOfOne(), strategy, seed=0)
    assert all(SPACE.contains(born.hparams) for born in p.events) and len(p.events) > 3


class ConditionalOfOne(Plain):
    members, total_steps, space = 1, 300, SPACE

    def first_hparams(self, member, rng):
        return self.space.sample(rng)

    def train(self, params, hparams, n_steps, rng):
        return super().train(params, {"h": hparams["lr"]}, n_steps, rng)
