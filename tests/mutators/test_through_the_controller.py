"""What holds for every strategy, through the real controller: a log, fresh objects, user code."""

import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fspop.mutators
from fspop.controller import PopulationController, new_manifest
from fspop.mutators import Bayesian, IteratedRestarts, Mutator, Perturb, TruncationSelection
from fspop.mutators.base import as_data
from fspop.mutators.described import build
from fspop.mutators.explore import Past, Row
from fspop.problems import Plain
from fspop.records import Born, MutatorFailed, Record
from fspop.report.settings import flat_settings
from fspop.seeds import Rng, derive_seed
from fspop.space import Boolean, Choice, Integer, LogUniform, Ordinal, Quantized, Space, Uniform
from fspop.storage import MemoryLog, MemoryStore, codec
from tests.mutators.strategies import ALONE, EVERY, MEMBERS, name_of

STEPS, TURN = 200, 20
every = pytest.mark.parametrize("mutator", EVERY + ALONE, ids=name_of)


class Played:
    """A run of the plain problem in memory, each report through a controller."""

    def __init__(self, mutator, fresh=False, spoil=lambda member, step: False):
        self.mutator, self.fresh, self.spoil = mutator, fresh, spoil
        self.store, self.problem = MemoryStore(), Plain()
        members = 1 if mutator in ALONE else MEMBERS
        rng = Rng(0, [0] * members)
        first = [self.problem.first_hparams(i, rng.member(i, "initial")) for i in range(members)]
        more = {"mode": "max", "seed": 0, "space": Plain.space, "total_steps": STEPS}
        self.manifest = new_manifest(first, mutator, **more)
        self.controller = self.opened()

    def opened(self):
        """As another process finds the run: the strategy made from its description."""
        mutator = build(as_data(self.mutator), self.mutator if self.mutator in ALONE else None)
        return self.on(mutator)

    def on(self, mutator):
        return PopulationController.on_log(
            self.manifest, mutator, Plain.space, MemoryLog(self.store)
        )

    def train(self, until=STEPS):
        """All members, in turns, until nobody can train any more or all are at `until`."""
        while any([self.turn(m.index, until) for m in self.controller.state.members]):
            pass
        return self

    def turn(self, member, until):
        if self.fresh:
            self.controller = self.opened()
        state = self.controller.state
        found, generation = state.members[member], state.members[member].generation
        limit = self.controller.rules(state).limits(state)[member]
        stops = [generation.step // TURN * TURN + TURN, STEPS, limit or STEPS]
        step, stop = generation.step, min(stops)
        if found.status != "active" or stop <= step or step >= until:
            return False
        restart = generation.restart
        params = restart.params if restart and restart.params else self.problem.begin(member)
        rng = random.Random(derive_seed(generation.id, step))
        done = self.problem.train(params, generation.hparams, stop - step, rng)
        value = float("nan") if self.spoil(member, stop) else done.value
        self.controller.stopwatch.seconds = lambda g: float(stop - g.start_step)
        metrics = {"epoch": stop / 12}
        self.controller.set_eval(member, generation.id, stop, done.params, value, metrics)
        return True

    @property
    def ops(self):
        found = (codec.decode(raw, Record, Path("memory")) for raw in self.store.records)
        return [op for record in found for op in record.ops]

    @property
    def births(self):
        return [op for op in self.ops if isinstance(op, Born) and op.index > 1]


def finished(played):
    state = played.controller.state
    assert not state.mutator_error, state.mutator_traceback
    return {m.status for m in state.members} == {"finished"}


def test_every_strategy_is_among_those_that_are_tested():
    found = [getattr(fspop.mutators, name) for name in fspop.mutators.__all__]
    strategies = {c.__name__ for c in found if isinstance(c, type) and issubclass(c, Mutator)}
    here = {mutator.name for mutator in EVERY + ALONE} | {"Mutator", "PopulationStrategy"}
    elsewhere = {"RandomSearch", "Replay"}  # they choose nothing
    assert strategies - here - elsewhere == set()


@every
def test_fresh_processes_between_any_two_reports_give_the_same_run(mutator):
    expected, again = Played(mutator).train(), Played(mutator, fresh=True).train()
    assert expected.births and finished(expected) and finished(again)
    assert again.births == expected.births
    assert again.controller.state.mutator == expected.controller.state.mutator


@pytest.mark.parametrize("mutator", ALONE, ids=name_of)
def test_one_member_alone_that_diverges_is_survived(mutator):
    once = Played(mutator, spoil=lambda member, step: step == 60).train()
    always = Played(mutator, spoil=lambda member, step: True).train()
    assert finished(once) and finished(always) and always.controller.state.best is None


@pytest.mark.parametrize("i", range(len(EVERY)), ids=lambda i: name_of(EVERY[i]))
@pytest.mark.parametrize("away", [1, 7])
def test_any_strategy_can_be_changed_to_any_other_in_mid_run(i, away):
    former, later = EVERY[i], EVERY[(i + away) % len(EVERY)]
    played = Played(former).train(until=100)
    asked = flat_settings(as_data(later))
    played.controller.change(asked, "ann@desk")
    assert played.controller.rules(played.controller.state).mutator == later
    assert finished(played.train())
    assert all(born.hparams["h"] <= 1.1 for born in played.births)


@pytest.mark.parametrize("mutator", EVERY, ids=name_of)
def test_a_changed_setting_of_any_strategy_goes_on_without_a_hitch(mutator):
    played = Played(mutator).train(until=100)
    name = next(
        n
        for n in ("interval", "steps_per_exploit", "seconds_per_exploit")
        if getattr(mutator, n, None) is not None
    )
    n_decisions = played.controller.state.n_decisions
    played.controller.change({f"mutator.{name}": 2 * getattr(mutator, name)}, "ann@desk")
    assert finished(played.train()) and played.controller.state.n_decisions >= n_decisions


def with_function(mutator, function):
    """The strategy exploring by the function; None for one that takes none."""
    if isinstance(mutator, IteratedRestarts):
        return None
    field = "mutate_fn" if hasattr(mutator, "mutate_fn") else "explore"
    return dataclasses.replace(mutator, **{field: function})


FUNCTIONS = [m for m in EVERY if with_function(m, lambda h: h)]


@pytest.mark.parametrize("mutator", FUNCTIONS, ids=name_of)
def test_a_function_that_raises_in_the_middle_is_on_record_and_holds_nobody(mutator):
    calls = []

    def sometimes(hparams, rng):
        calls.append(hparams)
        if len(calls) <= 2:
            raise RuntimeError("boom")
        return {"h": hparams["h"] * 0.9, "foreign": 1} if len(calls) == 4 else hparams

    played = Played(mutator)
    played.controller = played.on(with_function(mutator, sometimes))
    assert finished(played.train())
    errors = [op.error for op in played.ops if isinstance(op, MutatorFailed)]
    assert "RuntimeError: boom" in errors
    assert all("foreign" not in born.hparams for born in played.births)


@pytest.mark.parametrize("mutator", FUNCTIONS, ids=name_of)
@pytest.mark.parametrize("function", [lambda h: {"h": 0.5}, lambda h, rng: {"h": rng.random()}])
def test_a_function_of_hparams_or_of_hparams_and_rng_is_taken_everywhere(mutator, function):
    played = Played(mutator)
    played.controller = played.on(with_function(mutator, function))
    assert finished(played.train()) and played.births


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


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_a_model_proposes_stays_in_bounds(seed):
    rng, rule, memory = random.Random(seed), Bayesian(rows=12), {}
    hparams = SPACE.sample(rng)
    for step in range(20):
        memory = rule.learned(memory, Row(step, 1, rng.random(), hparams, rng.gauss(0, 9)), SPACE)
        hparams = rule.apply(hparams, SPACE, rng, Past(memory, "max", step + 1, rng.random(), []))
        assert SPACE.contains(hparams)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(1e-3, 1e3))
def test_what_a_users_function_makes_is_clipped_to_the_bounds(seed, spread):
    from fspop.mutators.explore import explore

    rng = random.Random(seed)

    def wild(hparams, rng):
        return {**hparams, "lr": rng.gauss(0, spread), "depth": 4, "momentum": rng.gauss(0, spread)}

    hparams = SPACE.sample(rng)
    for _ in range(100):  # times 20 examples
        hparams = explore(wild, hparams, SPACE, rng)
        assert SPACE.contains(hparams)


def test_all_members_diverging_is_said():
    played = Played(
        TruncationSelection(20, 0.25, synchronous=True, explore=Perturb()),
        spoil=lambda member, step: step <= 60,
    ).train()
    assert any("nobody is healthy" in born.reason for born in played.births)
