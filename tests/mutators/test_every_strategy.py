"""What holds for every population strategy."""

import json
import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fspop.mutators import Perturb
from fspop.mutators.explore import explore
from fspop.problems import Plain
from fspop.records import check_plain
from fspop.space import Boolean, Choice, Integer, LogUniform, Ordinal, Quantized, Space, Uniform
from tests.mutators import simulation
from tests.mutators.strategies import EVERY, MEMBERS, SYNCHRONOUS, name_of

every = pytest.mark.parametrize("mutator", EVERY, ids=name_of)
synchronous = pytest.mark.parametrize("mutator", SYNCHRONOUS, ids=name_of)


class Short(Plain):
    total_steps = 300


def play(mutator, seed=0, **more):
    return simulation.run(Short(), mutator, seed, members=MEMBERS, **more)


@every
def test_it_decides_something_and_finishes(mutator):
    p = play(mutator)
    assert p.events and {m.status for m in p.state.members} == {"finished"}
    assert all(born.reason for born in p.events)


@every
def test_a_restart_between_any_two_reports_gives_the_same_decisions(mutator):
    expected = play(mutator)
    again = play(mutator, restarted=True)
    assert again.events == expected.events
    assert again.state.mutator == expected.state.mutator


@synchronous
def test_the_order_of_arrival_changes_no_decision(mutator):
    def decided(p):
        return sorted(
            (b.index, b.member, b.origin and b.origin.point, b.hparams, b.reason) for b in p.events
        )

    expected = play(mutator)
    for seed in range(3):
        shuffled = play(mutator, order=random.Random(seed))
        assert decided(shuffled) == decided(expected)


@every
def test_a_member_that_diverges_never_wins_and_is_replaced(mutator):
    sick = []

    def spoil(member, step):
        if member == 3 and step == 100 and not sick:
            sick.append(step)
            return "loss is nan"
        return ""

    events = play(mutator, spoil=spoil).events
    rescue = next(b for b in events if "diverged at step 100 (loss is nan)" in b.reason)
    assert rescue.member == 3 and not rescue.origin.generation.startswith("m003")
    poisoned = next(i for i, b in enumerate(events) if b is rescue)
    name = f"m003.g{rescue.index - 1:04d}"
    assert all(b.origin.point != (name, 100) for b in events[poisoned:])


@every
def test_all_members_diverging_is_survived(mutator):
    p = play(mutator, spoil=lambda member, step: "loss is nan")
    assert {m.status for m in p.state.members} == {"finished"}
    assert p.state.best is None


@every
def test_all_members_diverging_at_once_and_then_no_more_is_survived(mutator):
    p = play(mutator, spoil=lambda member, step: "loss is nan" if step == 200 else "")
    assert math.isfinite(simulation.final_best(p.state))
    assert {m.status for m in p.state.members} == {"finished"}


@every
def test_failed_members_hold_nobody(mutator):
    def fail_two(p):
        if p.generation(7).step >= 100:
            for member in (5, 7):
                if p.state.members[member].status == "active":
                    p.fail(member)

    p = play(mutator, between=fail_two)
    assert [m.status for m in p.state.members].count("finished") == MEMBERS - 2


@every
def test_settings_and_state_are_plain_data_and_bounded(mutator):
    check_plain(mutator.settings(), "settings")
    p = play(mutator)
    check_plain(p.state.mutator, "state")
    assert len(msgspec.json.encode(p.state.mutator)) < 20_000
    assert json.loads(json.dumps(p.state.mutator)) == p.state.mutator


@every
def test_hparams_stay_within_the_space(mutator):
    p = play(mutator, seed=1)
    assert all(Plain.space.contains({"h": born.hparams["h"]}) for born in p.events)


SPACE = Space(
    {
        "lr": LogUniform(1e-6, 1.0),
        "momentum": Uniform(0.0, 1.0),
        "net": {"width": Integer(1, 64, log=True), "drop": Quantized(0.0, 0.5, 0.1)},
        "act": Choice(["relu", "tanh", "gelu"]),
        "depth": Ordinal([1, 2, 4]),
        "norm": Boolean(),
    }
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    factors=st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)),
    probability=st.floats(0, 1),
)
def test_values_stay_in_bounds_over_many_mutations(seed, factors, probability):
    rng = random.Random(seed)
    hparams = SPACE.sample(rng)
    for _ in range(500):  # times 20 examples
        hparams = explore(Perturb(factors, probability), hparams, SPACE, rng)
        assert SPACE.contains(hparams)
