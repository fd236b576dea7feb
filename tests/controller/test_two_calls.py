"""The two calls of the population library, in any order, repeated, and with nonsense between."""

import logging
import math
import os
from pathlib import Path

import pytest

from fspop import PopulationController
from fspop.errors import InvalidId, InvalidSetting
from fspop.mutators import WinnerTakeAllGenetic
from fspop.records import Point
from fspop.storage import read_history
from tests.controller.strategies import CopyBest, Nothing, OnPoll

HPARAMS = [{"lr": 0.1}, {"lr": 0.2}]


@pytest.fixture(params=["memory", "disk"])
def make(request, tmp_path):
    """Makes a controller of two members over a strategy; on disk, always the same run."""

    def make(mutator=None, hparams=HPARAMS, **settings):
        where = tmp_path / "run" if request.param == "disk" else None
        return PopulationController(hparams, mutator or Nothing(), where, **settings)

    return make


def points(controller):
    """{(generation, step): value} of every live evaluation."""
    members = controller.state.members
    return {(m.generation.id, e.step): e.value for m in members for e in m.generation.evaluations}


# ---- the polling table ---------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_fresh_start_gets_the_assignment_silently(make, nothing, caplog):
    given = make().maybe_get_worker_data(1, nothing, 0)
    assert (given.member, given.generation_id, given.step) == (1, "m001.g0001", 0)
    assert given.params is None and given.hparams == given.meta_params == {"lr": 0.2}
    assert caplog.records == []


@pytest.mark.parametrize("strange", ["m000.g0009", "m009.g0001", "m0.g1", "x", 7, "m000.g0000"])
def test_an_id_nobody_issued_is_logged_and_the_worker_reset(make, strange, caplog):
    controller = make()
    with caplog.at_level(logging.WARNING):
        given = controller.maybe_get_worker_data(0, strange, 40, "p")
    assert given.generation_id == "m000.g0001" and "unknown generation" in caplog.text
    assert points(controller) == {}


def test_the_current_id_means_carry_on(make):
    controller = make()
    assert controller.maybe_get_worker_data(0, "m000.g0001", 3, "p") is None
    controller.set_eval(0, "m000.g0001", 5, "p", 1.0)
    assert controller.maybe_get_worker_data(0, "m000.g0001", 5) is None


def test_a_restarted_worker_goes_on_from_its_last_report(make):
    controller = make()
    controller.set_eval(0, "m000.g0001", 5, {"a": 1}, 1.0)
    controller.set_eval(0, "m000.g0001", 10, {"a": 2}, None)
    given = controller.maybe_get_worker_data(0, None, 0)
    assert (given.step, given.params) == (10, {"a": 2})


def decided(make):
    """A controller after a round that member 1 won, both at step 10."""
    controller = make(CopyBest())
    controller.set_eval(0, "m000.g0001", 10, "p0", 5.0)
    controller.set_eval(1, "m001.g0001", 10, "p1", 1.0)
    return controller


def test_a_replaced_generation_is_told_to_swap_to_the_winners_checkpoint(make):
    given = decided(make).maybe_get_worker_data(0, "m000.g0001", 12, "p0")
    assert (given.generation_id, given.step, given.params) == ("m000.g0002", 10, "p1")
    assert given.checkpoint.point == Point("m001.g0001", 10) and not given.resumes


def test_a_swap_registers_where_the_worker_got_to_once(make):
    controller = decided(make)
    for _ in range(3):
        controller.maybe_get_worker_data(0, "m000.g0001", 12, "p0")
    assert controller.state.members[0].presented == Point("m000.g0001", 12)
    seq = controller.state.seq
    controller.maybe_get_worker_data(0, "m000.g0001", 12, "p0")
    assert controller.state.seq == seq


def test_another_members_id_never_overwrites_its_evaluation(make):
    controller = make()
    controller.set_eval(1, "m001.g0001", 10, "p1", 3.0)
    given = controller.maybe_get_worker_data(0, "m001.g0001", 10, "other")
    assert given.generation_id == "m000.g0001"
    assert points(controller)["m001.g0001", 10] == 3.0
    assert controller.state.members[1].generation.restart.params == "p1"


def test_another_members_id_at_a_new_step_registers_no_restart_point(make):
    controller = make()
    controller.set_eval(1, "m001.g0001", 10, "p1", 3.0)
    controller.maybe_get_worker_data(0, "m001.g0001", 99, "other")
    generation = controller.state.members[1].generation
    assert generation.restart.params == "p1" and generation.step == 10
    assert points(controller)["m001.g0001", 99] is None


@pytest.mark.parametrize("worker", [-1, 2, 99, "0", None, 0.5])
def test_a_worker_without_a_member_is_refused_with_the_range(make, worker):
    with pytest.raises(InvalidId, match=r"members 0 to 1"):
        make().maybe_get_worker_data(worker, None, 0)


@pytest.mark.parametrize("step", [-1, 1.5, None, "3", True])
def test_a_step_that_is_no_step_is_refused_and_nothing_is_written(make, step):
    controller = decided(make)
    seq = controller.state.seq
    with pytest.raises(InvalidSetting, match="step: got"):
        controller.maybe_get_worker_data(0, "m000.g0001", step)
    with pytest.raises(InvalidSetting, match="step: got"):
        controller.set_eval(0, "m000.g0002", step, "p", 1.0)
    assert controller.state.seq == seq


# ---- evaluations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("strange", ["m000.g0009", "x", None, "", 7, "m" + "1" * 5000 + ".g0001"])
def test_an_evaluation_of_an_unknown_generation_changes_nothing(make, strange, caplog):
    controller = make()
    before = controller.state
    with caplog.at_level(logging.WARNING):
        controller.set_eval(0, strange, 10, "p", 1.0)
    assert controller.state == before and "ignored" in caplog.text


def test_a_checkpoint_may_be_scored_later_from_elsewhere(make):
    controller = make()
    controller.set_eval(0, "m000.g0001", 10, "p10")
    controller.set_eval(0, "m000.g0001", 20, "p20")
    controller.set_eval(0, "m000.g0001", 10, None, 4.0)
    assert points(controller) == {("m000.g0001", 10): 4.0, ("m000.g0001", 20): None}
    restart = controller.state.members[0].generation.restart
    assert (restart.step, restart.params) == (20, "p20")


def test_a_late_score_decides_as_a_timely_one_would(make):
    controller = make(CopyBest())
    controller.set_eval(1, "m001.g0001", 10, "p1")
    controller.set_eval(0, "m000.g0001", 10, "p0", 5.0)
    assert controller.state.n_decisions == 0
    controller.set_eval(1, "m001.g0001", 10, "p1", 1.0)
    assert {m.generation.origin.point for m in controller.state.members} == {("m001.g0001", 10)}


def test_late_and_repeated_evaluations_of_the_past_change_no_decision(make):
    controller = decided(make)
    before = [m.generation for m in controller.state.members]
    for _ in range(2):
        controller.set_eval(0, "m000.g0001", 10, "x", -99.0)
        controller.set_eval(0, "m000.g0001", 4, "x", -99.0)
    assert [m.generation for m in controller.state.members] == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "bad", [1], {}, {"a": 1, "b": 2}])
def test_what_is_no_score_is_recorded_as_diverged_and_never_wins(make, value):
    controller = make(CopyBest())
    controller.set_eval(0, "m000.g0001", 10, "p0", value)
    controller.set_eval(1, "m001.g0001", 10, "p1", 1e300)
    state = controller.state
    assert {m.generation.origin.point for m in state.members} == {("m001.g0001", 10)}
    assert state.best.evaluation.value == 1e300


def test_all_diverged_is_no_crash(make):
    controller = make(CopyBest())
    for member in (0, 1):
        controller.set_eval(member, f"m00{member}.g0001", 10, "p", math.nan)
    assert controller.state.n_decisions == 0 and not controller.state.mutator_error
    assert all(m.generation.evaluations[-1].diverged for m in controller.state.members)


def test_max_mode_prefers_the_highest(make):
    controller = make(CopyBest(), mode="max")
    controller.set_eval(0, "m000.g0001", 10, "p0", 5.0)
    controller.set_eval(1, "m001.g0001", 10, "p1", 1.0)
    assert {m.generation.origin.params for m in controller.state.members} == {"p0"}


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ("a/path", "a/path"),
        (Path("a/path"), "a/path"),
        ({"w": [1.5, 2]}, {"w": [1.5, 2]}),
        ((1, 2), [1, 2]),
        (0, 0),
        ("", ""),
    ],
)
def test_params_are_a_path_or_plain_data(make, given, back):
    controller = make()
    controller.set_eval(0, "m000.g0001", 5, given, 1.0)
    assert controller.maybe_get_worker_data(0, None, 0).params == back


def test_params_that_are_neither_are_refused(make):
    with pytest.raises(InvalidSetting, match="params: got object"):
        make().set_eval(0, "m000.g0001", 5, object(), 1.0)


def test_hparams_may_be_a_bare_number(make):
    controller = make(hparams=[0.5, 2])
    assert controller.maybe_get_worker_data(0, None, 0).hparams == 0.5
    assert controller.maybe_get_worker_data(1, None, 0).hparams == 2


def test_what_a_caller_does_to_its_hparams_stays_with_the_caller(make):
    controller = make()
    controller.maybe_get_worker_data(0, None, 0).hparams["lr"] = "changed"
    assert controller.maybe_get_worker_data(0, None, 0).hparams == {"lr": 0.1}


def test_a_poll_hook_may_decide(make):
    controller = make(OnPoll())
    assert controller.maybe_get_worker_data(0, "m000.g0001", 3) is None
    controller.set_eval(0, "m000.g0001", 5, "p", 1.0)
    given = controller.maybe_get_worker_data(0, "m000.g0001", 6)
    assert (given.generation_id, given.hparams, given.step) == ("m000.g0002", {"lr": 7.0}, 5)
    seq = controller.state.seq
    assert controller.maybe_get_worker_data(0, "m000.g0002", 6) is None
    assert controller.state.seq == seq


def test_seconds_of_training_count_from_the_first_look_and_go_on_after_a_restart(make):
    strategy = WinnerTakeAllGenetic(lambda h: h * 2, seconds_per_exploit=10.0)
    now = [0.0]

    def again():
        controller = make(strategy, hparams=[1.0, 4.0])
        controller.stopwatch.clock = lambda: now[0]
        return controller

    controller = again()
    for member in (0, 1):
        controller.maybe_get_worker_data(member, None, 0)
    now[0] = 6.0
    for member in (0, 1):
        controller.set_eval(member, f"m00{member}.g0001", 5, f"p{member}", float(member))
    assert controller.state.n_decisions == 0
    now[0] = 10.5
    for member in (0, 1):
        controller.set_eval(member, f"m00{member}.g0001", 9, f"q{member}", float(member))
    assert [m.generation.hparams for m in controller.state.members] == [1.0, 2.0]


def test_time_between_two_processes_does_not_count(tmp_path):
    def make(at):
        controller = PopulationController(HPARAMS, Nothing(), tmp_path / "run")
        controller.stopwatch.clock = lambda: now[0]
        now[0] = at
        controller.maybe_get_worker_data(0, None, 0)
        return controller

    now = [0.0]
    first = make(0.0)
    now[0] = 6.0
    first.set_eval(0, "m000.g0001", 5, "p", 1.0)
    second = make(1000.0)
    now[0] = 1002.0
    second.set_eval(0, "m000.g0001", 9, "p", 1.0)
    assert second.state.members[0].generation.train_s == 8.0


# ---- on disk -------------------------------------------------------------------------------------


def test_a_state_that_is_there_wins_over_the_population_given(tmp_path):
    PopulationController([1.0, 2.0, 3.0], Nothing(), tmp_path / "run", mode="max")
    again = PopulationController([9.0], Nothing(), tmp_path / "run")
    assert [m.generation.hparams for m in again.state.members] == [1.0, 2.0, 3.0]
    assert again.state.mode == "max"


def test_many_may_make_the_same_run_at_once(tmp_path):
    import threading

    made, barrier = [], threading.Barrier(8)

    def make():
        barrier.wait()
        made.append(PopulationController(HPARAMS, Nothing(), tmp_path / "run"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and {c.manifest.run for c in made} == {made[0].manifest.run}
    assert [len(record.ops) for record in read_history(tmp_path / "run")] == [3]


def test_a_creation_that_died_half_way_is_completed(tmp_path):
    controller = PopulationController(HPARAMS, Nothing(), tmp_path / "run")
    os.unlink(controller.log._paths.record(0))
    again = PopulationController([5.0], Nothing(), tmp_path / "run")
    assert [m.generation.hparams for m in again.state.members] == HPARAMS


def test_every_parent_exists_and_no_generation_is_its_own(tmp_path):
    controller = PopulationController(HPARAMS, CopyBest(), tmp_path / "run")
    for n in range(12):
        for member in (0, 1):
            given = controller.maybe_get_worker_data(member, None, 0)
            step = given.step + 10
            controller.set_eval(member, given.generation_id, step, f"p{n}.{member}", member - n)
    ops = [op for record in read_history(tmp_path / "run") for op in record.ops]
    saved = {op.checkpoint.point for op in ops if getattr(op, "checkpoint", None)}
    births = [op for op in ops if type(op).__name__ == "Born"]
    assert len(births) == 26
    assert all(b.origin is None or b.origin.point in saved for b in births)
    assert all(
        b.origin is None or b.origin.generation != f"m{b.member:03d}.g{b.index:04d}" for b in births
    )
