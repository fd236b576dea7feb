"""Rebuilding the controller from disk between any two calls changes no later answer or decision."""

import math
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fspop import PopulationController
from fspop.controller import new_manifest
from fspop.mutators import TruncationSelection, WinnerTakeAllGenetic
from fspop.paths import RunPaths
from fspop.space import LogUniform, Space
from fspop.storage import FileLog
from tests.controller.strategies import CopyBest

N = 3
SPACE = Space({"lr": LogUniform(1e-4, 1.0)})
HPARAMS = [{"lr": 0.1 * (i + 1)} for i in range(N)]
STRATEGIES = {
    "copy": CopyBest(10),
    "winner": WinnerTakeAllGenetic(lambda h, rng: {"lr": h["lr"] * rng.uniform(0.5, 2)}, 10),
    "truncation": TruncationSelection(interval=10, fraction=0.34),
}
SEVERAL = ["m000.g0001", "m001.g0002", "m002.g0001", "m000.g0003", "m009.g0001", "", None, "x"]

calls = st.lists(
    st.tuples(
        st.sampled_from(["train", "train", "train", "poll", "stale", "late", "unscored"]),
        st.integers(0, N - 1),
        st.sampled_from([3, 5, 10]),
        st.sampled_from([0.5, 1.0, 2.0, -3.0, math.nan, math.inf]),
        st.sampled_from(SEVERAL),
    ),
    max_size=40,
)


class Caller:
    """Makes calls on a controller and notes every answer."""

    def __init__(self, strategy, root, rebuilds):
        self.strategy, self.root, self.rebuilds = strategy, root, rebuilds
        manifest = new_manifest(HPARAMS, strategy, mode="min", seed=3, space=SPACE)
        manifest = replace(manifest, records_per_segment=8)
        self.controller = PopulationController.create(root, manifest, strategy, SPACE)
        self.answers = []

    def call(self, kind, member, steps, value, strange):
        if self.rebuilds:
            self.controller = PopulationController.open(self.root, self.strategy, SPACE)
        controller = self.controller
        controller.stopwatch.clock = lambda: 0.0  # seconds of training differ between two runs
        at = controller.maybe_get_worker_data(member, None, 0)
        if kind in ("train", "unscored"):
            score = value if kind == "train" else None
            step = at.step + steps
            controller.set_eval(member, at.generation_id, step, f"p{member}.{step}", score)
        elif kind == "poll":
            self.note(controller.maybe_get_worker_data(member, at.generation_id, at.step + steps))
        elif kind == "stale":
            self.note(controller.maybe_get_worker_data(member, strange, at.step + steps, "s"))
        else:
            controller.set_eval(member, strange, steps, "late", value)
        self.note(controller.maybe_get_worker_data(member, None, 0))

    def note(self, answer):
        self.answers.append(replace_time(answer))


def replace_time(answer):
    return (
        None
        if answer is None
        else (
            answer.generation_id,
            answer.step,
            answer.params,
            repr(answer.hparams),
            answer.checkpoint,
        )
    )


def timeless(state):
    """A state without what the clock wrote into it."""
    members = []
    for member in state.members:
        generation = replace(member.generation, born_at=0.0)
        members.append(replace(member, generation=generation, reported_at=0.0))
    return replace(state, members=members, digest="", created_at=0.0, updated_at=0.0)


def check(name, script):
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        steady = Caller(STRATEGIES[name], Path(folder) / "steady", rebuilds=False)
        rebuilt = Caller(STRATEGIES[name], Path(folder) / "rebuilt", rebuilds=True)
        for each in script:
            steady.call(*each)
            rebuilt.call(*each)
        assert rebuilt.answers == steady.answers
        assert timeless(rebuilt.controller.state) == timeless(steady.controller.state)
        again = FileLog(RunPaths(Path(folder) / "steady"), 8).refresh()
        assert again == steady.controller.state
        check_sane(again)


def memory():
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def check_sane(state):
    assert not state.mutator_error, state.mutator_error
    kept = {c.point for c in state.kept}
    for member in state.members:
        generation = member.generation
        assert generation.parent is None or generation.parent.generation != generation.id
        assert generation.restart is None or generation.restart.point in kept
        assert all(e.value is None or math.isfinite(e.value) for e in generation.evaluations)


@given(calls)
@settings(max_examples=40, deadline=None)
def test_with_a_plain_barrier(script):
    check("copy", script)


@given(calls)
@settings(max_examples=40, deadline=None)
def test_with_winner_takes_all(script):
    check("winner", script)


@given(calls)
@settings(max_examples=40, deadline=None)
def test_with_population_based_training(script):
    check("truncation", script)


def test_in_lockstep_the_assigned_step_is_the_number_of_steps_trained():
    for interval in (1, 3, 7):
        mutator = WinnerTakeAllGenetic(lambda h: h * 1.1, interval)
        controller = PopulationController([1.0, 2.0, 3.0], mutator)
        for trained in range(0, 40):
            given = [controller.maybe_get_worker_data(i, None, 0) for i in range(3)]
            assert {g.step for g in given} == {trained}
            for g in given:
                controller.set_eval(g.member, g.generation_id, trained + 1, "p", g.hparams**2)


def test_winner_takes_all_drives_a_square_close_to_zero():
    mutator = WinnerTakeAllGenetic(lambda h, rng: h + rng.gauss(0, 0.1), 2)
    controller = PopulationController([1.0] * 4, mutator)
    dice = random.Random(0)
    for step in range(1, 120):
        for member in dice.sample(range(4), 4):
            given = controller.maybe_get_worker_data(member, None, 0)
            controller.set_eval(member, given.generation_id, step, "p", given.hparams**2)
    assert controller.state.best.evaluation.value < 0.01
