import json

import msgspec
import pytest

from fspop.records import AttemptFailed, Finished, MutatorFailed, State
from fspop.report.schema import RunStatus
from fspop.report.status import Observed, describe


def states(scene):
    return [member.state for member in scene.look().members]


def test_a_run_without_a_record_is_created(scene):
    status = describe(scene.manifest, State(), Observed(scene.root, 0.0))
    assert (status.state, status.members, status.best) == ("created", [], None)


def test_members_that_nobody_holds_are_free_and_the_run_idle(scene):
    assert states(scene) == ["free"] * 3
    assert scene.look().state == "idle"


def test_a_holder_says_what_it_does(scene):
    scene.work(5, 1, step=42, steps_per_s=3.5)
    member = scene.look().members[1]
    assert (member.state, member.worker, member.host) == ("training", "5", "node-a")
    assert (member.live_step, member.steps_per_s, member.heartbeat_age_s) == (42, 3.5, 1.0)
    assert member.claim.term == 1 and scene.look().state == "training"


def test_a_heartbeat_of_an_earlier_generation_says_nothing_of_this_one(scene):
    scene.work(5, 1, generation="m000.g0001")
    assert scene.look().members[1].live_step is None


def test_a_worker_that_has_not_written_a_heartbeat_is_starting_for_a_while(scene):
    scene.work(5, 1, since_s=5)
    scene.beats.clear()
    assert states(scene)[1] == "starting"
    scene.work(5, 1, since_s=500)
    scene.beats.clear()
    assert states(scene)[1] == "worker silent"


def test_members_wait_where_a_worker_has_nothing_to_do(scene):
    scene.work(5, 1)
    scene.work(6, None)
    assert states(scene) == ["waiting", "training", "waiting"]


def test_a_heartbeat_older_than_the_lease_is_silent(scene):
    scene.work(5, 1, age_s=119)
    assert states(scene)[1] == "training"
    scene.work(5, 1, age_s=121)
    assert states(scene)[1] == "worker silent"
    assert scene.look().state == "idle"


def test_a_worker_proven_dead_is_dead(scene):
    scene.work(5, 1)
    scene.dead.add("00000005")
    assert states(scene)[1] == "worker dead"
    assert scene.look().workers[0].state == "dead"


def test_a_clock_that_is_ahead_gives_no_negative_age(scene):
    scene.work(5, 1, age_s=-30)
    assert scene.look().members[1].heartbeat_age_s == 0.0


def test_values_are_the_newest_and_the_best_of_the_generation(scene):
    for step, value in ((10, 0.5), (20, 0.9), (30, 0.7)):
        scene.score(0, step, value)
    scene.score(0, 40)
    member = scene.look().members[0]
    assert (member.step, member.value, member.best) == (40, 0.7, 0.9)
    assert member.checkpoint == str(scene.root / "checkpoints/m000.g0001/step-40")


def test_a_diverged_member_shows_why_and_has_no_value(scene):
    scene.score(0, 10, 0.5)
    scene.score(0, 20, diverged="evaluate() is nan")
    member = scene.look().members[0]
    assert (member.state, member.value, member.best) == ("diverged", None, 0.5)
    assert member.diverged == "evaluate() is nan"


def test_the_best_has_its_checkpoint_and_hparams(scene):
    scene.score(2, 10, 0.5)
    best = scene.look().best
    assert (best.value, best.generation, best.step) == (0.5, "m002.g0001", 10)
    assert best.hparams["kind"] == "c" and best.checkpoint.startswith(str(scene.root))


@pytest.mark.parametrize("params", [None, {"a": 1.0}])
def test_a_checkpoint_that_is_no_path_has_none(scene, params):
    scene.score(2, 10, 0.5, params=params)
    assert scene.look().best.checkpoint is None
    assert scene.look().members[2].checkpoint is None


def test_failed_and_finished_members_end_the_run(scene):
    scene.fold(AttemptFailed(0, 0, "ValueError: x", "trace", final=True))
    scene.fold(Finished(1), Finished(2))
    status = scene.look()
    assert states(scene) == ["failed", "finished", "finished"]
    assert (status.state, status.failed, status.finished) == ("finished", 1, 2)
    assert status.members[0].error == "ValueError: x"


def test_a_run_whose_members_all_failed_is_not_finished(scene):
    scene.fold(*(AttemptFailed(i, 0, "ValueError: x", "trace", final=True) for i in range(3)))
    assert (scene.look().state, scene.look().failed) == ("failed", 3)


def test_a_mutator_that_raises_is_said(scene):
    scene.fold(MutatorFailed("KeyError: 'lr'", "trace"))
    assert scene.look().failing == "KeyError: 'lr'"
    assert scene.look().failing_traceback == "trace"


def test_the_schema_survives_json_and_names_what_scripts_read(scene):
    scene.work(5, 1)
    scene.score(1, 10, 0.5)
    data = json.loads(msgspec.json.encode(scene.look()))
    assert msgspec.convert(data, RunStatus) == scene.look()
    assert data["format"] == 1 and data["age_s"] == 4.0
    assert data["members"][1]["claim"] == {"worker": "5", "incarnation": "00000005", "term": 1}
    assert {"member", "generation", "step", "value", "best", "hparams", "state"} <= set(
        data["members"][0]
    )
