"""Every strategy with several objectives and constraints, through the real decisions."""

import json
import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.mutators import TruncationSelection, WinnerTakeAllGenetic, rank
from fspop.mutators.ranking import mean_score, merits
from fspop.objectives import Goal, dominates, goal_of, hypervolume
from fspop.problems.base import Problem, Trained
from fspop.records import Objectives
from fspop.space import Space, Uniform
from tests.mutators import simulation
from tests.mutators.strategies import EVERY, MEMBERS, SYNCHRONOUS, name_of

TWO = Objectives({"f1": "min", "f2": "min"}, reference={"f1": 1.1, "f2": 1.1})
LIMITED = Objectives({"f1": "min", "f2": "min"}, ["f1 >= 0.5"], ranking="hypervolume")
WHOLE = 0.1 + 2 / 3 + 0.11  # the volume of f2 = 1 - sqrt(f1) below (1.1, 1.1)
every = pytest.mark.parametrize("mutator", EVERY, ids=name_of)


class Zdt1(Problem):
    """ZDT1 (Zitzler, Deb, Thiele 2000): x is an hparam, the distance g - 1 shrinks in training."""

    members, round_steps, total_steps = MEMBERS, 20, 160
    space = Space({"x": Uniform(0.0, 1.0), "rate": Uniform(0.001, 0.03)})

    def begin(self, member):
        return {"g": 3.0, "x": 0.5}

    def train(self, params, hparams, n_steps, rng):
        g = 1 + (params["g"] - 1) * (1 - hparams["rate"]) ** n_steps
        return Trained({"g": g, "x": hparams["x"]}, hparams["x"], [hparams["x"]])

    def metrics(self, done):
        x, g = done.params["x"], done.params["g"]
        return {"f1": x, "f2": g * (1 - math.sqrt(x / g))}


def play(mutator, objectives=TWO, seed=0, **more):
    more = {"members": MEMBERS, "mode": "min", "objectives": objectives, **more}
    problem = Zdt1()
    problem.total_steps = more.pop("steps", 160)
    return simulation.run(problem, mutator, seed, **more)


@every
def test_every_strategy_decides_finishes_and_restarts_the_same(mutator):
    p = play(mutator, LIMITED)
    assert p.events and {m.status for m in p.state.members} == {"finished"}
    again = play(mutator, LIMITED, restarted=True)
    assert again.events == p.events and again.state.mutator == p.state.mutator
    assert json.loads(msgspec.json.encode(p.state.mutator)) == p.state.mutator
    goal = goal_of(p.state)
    scores = [goal.score(best.evaluation) for best in p.state.front]
    assert scores and not any(dominates(a, b) for a in scores for b in scores)
    assert all(score[0] == 0 for score in scores)


@pytest.mark.parametrize("mutator", SYNCHRONOUS, ids=name_of)
def test_the_order_of_arrival_changes_no_decision(mutator):
    def decided(p):
        return sorted((b.index, b.member, b.origin and b.origin.point, b.reason) for b in p.events)

    expected = decided(play(mutator, LIMITED))
    assert decided(play(mutator, LIMITED, order=random.Random(1))) == expected


@pytest.mark.parametrize("mutator", [m for m in EVERY if m.name != "IteratedRestarts"], ids=name_of)
def test_a_member_without_an_objective_never_wins_and_is_replaced(mutator):
    sick = []

    def spoil(member, step):
        first = member == 3 and step == 100 and not sick
        sick.extend([step] * first)
        return "metric 'f2' is nan" if first else ""

    p = play(mutator, spoil=spoil)
    rescue = next(b for b in p.events if "diverged at step 100 (metric 'f2' is nan)" in b.reason)
    assert rescue.member == 3
    assert rescue.origin.point != (f"m003.g{rescue.index - 1:04d}", 100)


def test_the_front_comes_near_the_known_one_and_one_objective_alone_does_not():
    def volume(objectives, seed):
        strategy = TruncationSelection(20, 0.25, synchronous=True)
        p = play(strategy, objectives, seed, steps=300)
        points = [(x, g * (1 - math.sqrt(x / g))) for x, g in (last(m) for m in p.state.members)]
        return hypervolume(points, [1.1, 1.1])

    def last(member):
        params = member.generation.restart.params
        return params["x"], params["g"]

    both = sum(volume(TWO, seed) for seed in range(5)) / 5
    alone = sum(volume(None, seed) for seed in range(5)) / 5
    assert 0.85 * WHOLE < both < WHOLE and alone < 0.75 * both


def test_the_kept_front_comes_near_the_known_one_and_its_checkpoints_are_kept():
    p = play(TruncationSelection(20, 0.25, synchronous=True), steps=300)
    metrics = [best.evaluation.metrics for best in p.state.front]
    volume = hypervolume([(m["f1"], m["f2"]) for m in metrics], [1.1, 1.1])
    assert 0.85 * WHOLE < volume < WHOLE
    kept = {c.point for c in p.state.kept}
    assert all(best.checkpoint.point in kept for best in p.state.front)


@pytest.mark.parametrize("size", [2, 5])
def test_the_state_does_not_grow_with_the_run(size):
    bounded = msgspec.structs.replace(TWO, front_size=size)
    p = play(TruncationSelection(20), bounded)
    assert len(p.state.front) == size and len(p.state.kept) <= 3 * MEMBERS + size


def test_winner_takes_all_copies_none_that_is_dominated_or_infeasible():
    p = play(WinnerTakeAllGenetic(steps_per_exploit=20), LIMITED, seed=3)
    won = [b.reason for b in p.events if "goes on" in b.reason]
    assert won and all("f1 0." in reason and "infeasible" not in reason for reason in won[1:])


# ---- ranking ---------------------------------------------------------------------------------

GOAL = Goal("min", {"a": "min", "b": "min"}, ["a <= 1"])
SCORES = st.dictionaries(st.integers(0, 20), st.floats(allow_nan=True) | st.none())


@given(SCORES, st.sampled_from(["min", "max"]))
def test_a_plain_goal_ranks_as_its_mode(scores, mode):
    assert rank(scores, Goal(mode)) == rank(scores, mode)
    finite = {i: s for i, s in scores.items() if s is not None}
    assert merits(finite, Goal(mode)) == finite


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 1, 2]), *[st.integers(0, 4)] * 2), max_size=9))
def test_merits_agree_with_the_ranking(vectors):
    scores = {i: list(v) for i, v in enumerate(vectors)}
    order, numbers = rank(scores, GOAL), merits(scores, GOAL)
    assert sorted(order) == sorted(scores) == sorted(numbers)
    assert all(0 <= number <= 1 for number in numbers.values())
    for i, a in scores.items():
        for j, b in scores.items():
            assert not dominates(a, b) or numbers[i] > numbers[j]
            assert a != b or numbers[i] == numbers[j]


def test_vectors_that_are_not_finite_are_not_ranked():
    scores = {0: [0.0, 1.0, math.nan], 1: None, 2: [0.0, 1.0, 1.0], 3: [math.inf, 0.0, 0.0]}
    assert rank(scores, GOAL) == [2]


def test_infeasible_members_stand_behind_feasible_ones():
    assert rank({0: [2.0, 0.0, 0.0], 1: [1.0, 0.0, 0.0], 2: [0.0, 9.0, 9.0]}, GOAL) == [2, 1, 0]


def test_means_of_vectors_are_those_of_each_dimension():
    assert mean_score([[0.0, 1.0], [1.0, 3.0]]) == [0.5, 2.0]
    assert mean_score([1.0, 2.0]) == 1.5
