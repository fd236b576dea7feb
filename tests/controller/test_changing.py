"""Settings changed in a run under way: on record, in force at once, replayed by the strategy."""

import dataclasses
import random

import pytest

from fspop import PopulationController, Space, Uniform
from fspop.errors import ConfigurationError, InvalidSetting, UnknownFormat, UsageError
from fspop.mutators import (
    FixedSchedule,
    Perturb,
    PopulationBased,
    Tournament,
    TruncationSelection,
    WelchTTest,
    WinnerTakeAllGenetic,
)
from fspop.mutators.base import as_data
from fspop.records import Born, SettingsChanged
from fspop.storage import MemoryLog, MemoryStore
from tests.controller.strategies import CopyBest, Nothing, Raises

SPACE = Space({"lr": Uniform(0.0, 1.0)})
BY = "ann@desk"


def controller_of(mutator, members=4, **more):
    first = [{"lr": 0.1 * (i + 1)} for i in range(members)]
    return PopulationController(first, mutator, space=SPACE, mode="max", **more)


def report(controller, member, step, value=None):
    generation = controller.state.members[member].generation.id
    controller.set_eval(member, generation, step, f"p{member}.{step}", value or float(member))


def trained(mutator, steps=(10, 20, 30), members=4):
    controller = controller_of(mutator, members)
    for step in steps:
        for member in range(members):
            report(controller, member, step)
    return controller


def strategy(controller):
    return controller.rules(controller.state).mutator


def test_a_new_interval_that_is_over_decides_at_once_in_the_same_record():
    controller = trained(TruncationSelection(1000, 0.25))
    before = controller.state
    after = controller.change({"mutator.interval": 30}, BY, "too slow")
    assert after.seq == before.seq + 1 and after.n_decisions == 1
    assert after.members[0].generation.parent == ("m003.g0001", 30)
    (change,) = after.changes
    assert (change.by, change.asked, change.reason) == (BY, {"mutator.interval": 30}, "too slow")
    assert strategy(controller) == TruncationSelection(30, 0.25)


def test_what_is_reported_before_the_interval_is_over_waits_for_it():
    controller = trained(TruncationSelection(1000, 0.25))
    assert controller.change({"mutator.interval": 40}, BY).n_decisions == 0
    for member in range(4):
        report(controller, member, 40)
    assert controller.state.n_decisions == 1


def test_every_process_goes_by_it_from_its_next_look_on():
    store = MemoryStore()
    first = controller_of(TruncationSelection(1000))
    ours, others = (
        PopulationController.on_log(
            first.manifest, TruncationSelection(1000), SPACE, MemoryLog(store)
        )
        for _ in range(2)
    )
    ours.change({"mutator": "WelchTTest", "mutator.p": 0.2}, BY)
    assert strategy(others) == WelchTTest(1000, p=0.2)
    assert others.in_effect(others.state).manifest.mutator["name"] == "WelchTTest"


def test_another_strategy_keeps_what_was_set_and_it_has_too():
    mutator = TruncationSelection(50, explore=Perturb((0.5, 2.0)), elite=2, fraction=0.3)
    controller = controller_of(mutator)
    controller.change({"mutator": "PopulationBased", "mutator.exploit": "Tournament"}, BY)
    expected = PopulationBased(50, exploit=Tournament(), explore=Perturb((0.5, 2.0)), elite=2)
    assert strategy(controller) == expected


def test_parts_of_a_rule_can_be_set_with_the_rule():
    controller = controller_of(TruncationSelection(50))
    controller.change({"mutator.explore.resample_probability": 0.5}, BY)
    controller.change({"mutator.explore": "Bayesian", "mutator.explore.rows": 30}, BY)
    assert strategy(controller).explore.rows == 30
    controller.change({"mutator.explore": "Perturb", "mutator.explore.factors": [0.9, 1.1]}, BY)
    assert strategy(controller).explore == Perturb((0.9, 1.1))


def test_a_function_stays_when_other_settings_change():
    half = lambda hparams: {"lr": hparams["lr"] / 2}  # noqa: E731
    controller = trained(WinnerTakeAllGenetic(half, steps_per_exploit=1000))
    controller.change({"mutator.steps_per_exploit": 30}, BY)
    assert controller.state.members[0].generation.hparams == {"lr": 0.2}
    controller.change({"mutator": "TruncationSelection", "mutator.interval": 9}, BY)
    assert strategy(controller).explore is half


def test_a_strategy_of_the_users_own_keeps_its_class():
    controller = trained(CopyBest(1000))
    after = controller.change({"mutator.interval": 30}, BY)
    assert strategy(controller) == CopyBest(30) and after.n_decisions == 4
    assert after.mutator == {"rounds": 1}


def test_the_order_of_arrival_does_not_matter():
    def after(seed):
        controller, rng = controller_of(TruncationSelection(1000, 0.25)), random.Random(seed)
        for step in (10, 20, 30):
            for member in rng.sample(range(4), 4):
                report(controller, member, step, (7 * member + step) % 5 + 1)
        state = controller.change({"mutator.interval": 20}, BY)
        known = [state.mutator["members"][str(i)]["scores"] for i in range(4)]
        return [(m.generation.id, m.generation.hparams) for m in state.members], known

    assert after(0) == after(1) == after(2)


def test_a_synchronous_round_goes_on_with_those_who_are_there():
    sync = TruncationSelection(30, 0.25, synchronous=True)
    controller = trained(sync, steps=(10, 20, 30, 40))
    assert controller.state.n_decisions == 1 and controller.state.mutator["round"] == 1
    controller.change({"mutator.interval": 20}, BY)
    for member in range(3):
        report(controller, member, 50)
    assert controller.state.n_decisions == 1
    report(controller, 3, 50)
    assert controller.state.n_decisions == 2


def test_a_barrier_that_replaces_another_strategy_ends_for_all_at_the_same_step():
    controller = trained(TruncationSelection(30, 0.25), steps=(10, 20, 30, 40))
    born = next(m for m in controller.state.members if m.generation.parent)
    controller.change({"mutator.synchronous": True, "mutator.interval": 40}, BY)
    limits = controller.rules(controller.state).limits(controller.state)
    assert set(limits) == {born.generation.start_step + 40}


def test_a_diverged_member_is_replaced_at_once_by_a_new_strategy():
    controller = trained(Nothing())
    controller.set_eval(1, "m001.g0001", 40, "p1.40", float("nan"))
    after = controller.change({"mutator": "TruncationSelection", "mutator.interval": 500}, BY)
    assert "diverged at step 40" in after.members[1].generation.reason
    assert after.members[1].generation.parent.generation != "m001.g0001"


def test_a_change_mends_a_strategy_that_fails():
    controller = trained(Raises("update"))
    assert controller.state.mutator_error
    assert not controller.change({"mutator.method": "none"}, BY).mutator_error


def test_more_steps_wake_who_is_finished_and_fewer_finish_who_is_beyond():
    controller = controller_of(CopyBest(1000))
    controller.change({"total_steps": 20}, BY)
    for member in range(4):
        report(controller, member, 20)
    assert {m.status for m in controller.state.members} == {"finished"}
    state = controller.change({"total_steps": 40}, BY)
    assert {m.status for m in state.members} == {"active"}
    assert controller.rules(state).limits(state) == [40] * 4
    assert {m.status for m in controller.change({"total_steps": 15}, BY).members} == {"finished"}


def test_fewer_steps_let_a_round_end_without_those_who_are_beyond():
    controller = controller_of(TruncationSelection(100, synchronous=True))
    for member in range(3):
        report(controller, member, 100)
    report(controller, 3, 50)
    state = controller.change({"total_steps": 50}, BY)
    assert {m.status for m in state.members} == {"finished"}


def test_more_steps_end_a_round_whose_members_had_all_ended():
    controller = controller_of(TruncationSelection(20, 0.25, synchronous=True))
    controller.change({"total_steps": 20}, BY)
    for member in range(4):
        report(controller, member, 20)
    state = controller.change({"total_steps": 60}, BY)
    assert state.n_decisions == 1
    assert controller.rules(state).limits(state) == [40] * 4


def test_other_settings_are_in_force_at_once():
    controller = trained(Nothing())
    controller.change({"keep_best": 3, "max_lead_steps": 7, "max_attempts": 9}, BY)
    state = controller.state
    now = controller.in_effect(state)
    assert (state.keep_best, now.claims.max_lead_steps, now.manifest.max_attempts) == (3, 7, 9)
    report(controller, 0, 40, 9.0)
    report(controller, 1, 40, 8.0)
    assert len(controller.state.leaders) == 3
    assert len(controller.change({"keep_best": 1}, BY).leaders) == 1
    assert controller.manifest.keep_best == 1 and controller.manifest.max_attempts == 3


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"mutator.interval": 0}, InvalidSetting, "TruncationSelection.interval: got 0"),
        ({"mutator.fraction": 0.7}, InvalidSetting, "up to 0.5"),
        ({"mutator.intervall": 3}, UsageError, "no setting 'intervall'; did you mean 'interval'"),
        ({"mutator": "TruncationSelektion"}, UsageError, "did you mean 'TruncationSelection'"),
        ({"mutator": "Perturb"}, UsageError, "got 'Perturb'"),
        ({"mutator": "FIRE"}, InvalidSetting, "for a population of 4"),
        ({"mutator": "SingleWorkerExplore"}, UsageError, "needs mutator.mutate_fn and"),
        ({"mutator": "WelchTTest", "mutator.fraction": 0.1}, UsageError, "no setting 'fraction'"),
        ({"mutator.explore": "Perturbb"}, UsageError, "got 'Perturbb'; give the name of a rule"),
        ({"mutator.explore": "os:system"}, UsageError, "got 'os:system'"),
        ({"mutator.interval": 50}, UsageError, "already so"),
        ({"total_steps": 0}, InvalidSetting, "total_steps: got 0"),
        ({"checkpoint_budget_gb": "much"}, InvalidSetting, "budget_gb: got 'much'"),
        ({"members": 9}, UsageError, "members: cannot be changed in a run under way"),
        ({"seed": 9}, UsageError, "decisions derive from it"),
        ({"totalsteps": 9}, UsageError, "no such setting"),
        ({"mutator.elite": 4}, InvalidSetting, "only 4 members compete"),
    ],
)
def test_what_does_not_fit_is_a_named_error_and_nothing_is_written(asked, kind, message):
    controller = controller_of(TruncationSelection(50))
    seq = controller.state.seq
    with pytest.raises(kind, match=message.replace("(", r"\(")):
        controller.change(asked, BY)
    assert controller.state.seq == seq


def test_a_strategy_that_fails_on_what_was_reported_is_refused():
    controller = trained(Raises("none"))
    seq = controller.state.seq
    with pytest.raises(InvalidSetting, match="fails on what was reported so far: RuntimeError"):
        controller.change({"mutator.method": "update"}, BY)
    assert controller.state.seq == seq


@dataclasses.dataclass(frozen=True)
class Forgetful(Nothing):
    pace: int = 1

    def settings(self):
        return {}


def test_a_strategy_that_does_not_tell_its_settings_cannot_be_changed():
    with pytest.raises(InvalidSetting, match="do not come back"):
        controller_of(Forgetful()).change({"mutator.pace": 2}, BY)


def test_a_process_that_cannot_make_the_strategy_says_what_it_lacks():
    store = MemoryStore()
    first = controller_of(Nothing())
    controller = PopulationController.on_log(first.manifest, Nothing(), SPACE, MemoryLog(store))
    newer = {"name": "Clairvoyance", "settings": {}}
    controller.log.commit("set", lambda state: [SettingsChanged(BY, {"mutator": 1}, {}, newer)])
    with pytest.raises(ConfigurationError, match=r"Clairvoyance.*ann@desk.*upgrade fspop"):
        report(controller, 0, 10)
    unknown = SettingsChanged(BY, {"warp": 9}, {"warp": 9})
    controller.log.commit("set", lambda state: [unknown])
    with pytest.raises(UnknownFormat, match=r"'warp'.*upgrade fspop"):
        report(controller, 0, 10)


def test_a_schedule_that_is_changed_goes_on_where_it_was():
    controller = controller_of(FixedSchedule({10: {"lr": 0.5}}), members=1)
    report(controller, 0, 10)
    assert controller.state.n_decisions == 1
    asked = {"mutator.schedule": [[10, {"lr": 0.5}], [20, {"lr": 0.25}]]}
    assert controller.change(asked, BY).n_decisions == 1
    report(controller, 0, 20)
    assert controller.state.members[0].generation.hparams == {"lr": 0.25}


def test_two_changes_both_stand_and_the_newest_rules():
    controller = controller_of(TruncationSelection(50))
    controller.change({"mutator.interval": 60}, "ann@desk")
    state = controller.change({"mutator.fraction": 0.5, "max_deaths": 5}, "bob@lap")
    assert strategy(controller) == TruncationSelection(60, 0.5)
    assert [c.by for c in state.changes] == ["ann@desk", "bob@lap"] and state.n_changes == 2
    assert controller.manifest.mutator == {
        key: value for key, value in as_data(TruncationSelection(50)).items()
    }


def test_the_births_of_a_change_are_in_its_record():
    store = MemoryStore()
    first = controller_of(Nothing())
    controller = PopulationController.on_log(
        first.manifest, TruncationSelection(1000), SPACE, MemoryLog(store)
    )
    for member in range(4):
        report(controller, member, 30)
    controller.change({"mutator.interval": 10}, BY)
    ops = []
    controller.log.commit("x", lambda state: ops.append(state.seq) or [])
    raw = store.records[-1].decode()
    assert '"op":"settings_changed"' in raw and '"op":"born"' in raw
    assert Born.__struct_config__.tag == "born"
