import copy

import pytest

from fspop.errors import InvalidSetting
from fspop.mutators import TruncationSelection
from fspop.mutators.by_report import FRUITLESS_RESCUES
from fspop.mutators.curves import POINTS
from fspop.records import Evaluation, Point
from fspop.seeds import Rng
from tests.mutators.driver import Population


def plus_one(hparams):
    return hparams + 1


def population(n=5, interval=10, seed=0, mode="max", total_steps=None, **settings):
    mutator = TruncationSelection(interval, explore=plus_one, **settings)
    return Population(mutator, [10 * i for i in range(n)], mode, seed, total_steps=total_steps)


def reported(p, values, step=10, **more):
    return [born for i, value in enumerate(values) for born in p.report(i, step, value, **more)]


def test_only_a_member_at_the_bottom_copies_one_at_the_top():
    p = population()
    assert reported(p, [0.5, 0.6, 0.7, 0.8]) == []
    (born,) = p.report(4, 10, 0.1)
    assert (born.member, born.hparams, born.origin.point) == (4, 31, Point("m003.g0000", 10))
    assert born.reason == "ranked 5 of 5 at step 10; copies member 3 at step 10 and explores"


def test_a_member_in_the_middle_goes_on_and_waits_for_the_next_interval():
    p = population()
    reported(p, [0.5, 0.6, 0.7, 0.8])
    assert not p.report(4, 10, 0.55)
    assert not p.report(4, 15, 0.0)
    assert [b.member for b in p.report(4, 20, 0.0)] == [4]
    assert p.generation(4).start_step == 10  # from member 3, which stands there
    assert not p.report(4, 15, -1.0) and len(p.report(4, 20, -1.0)) == 1


@pytest.mark.parametrize("mode", ["min", "max"])
def test_mode_decides_who_is_worst(mode):
    p = population(mode=mode)
    reported(p, [1.0, 2.0, 3.0, 4.0], step=5)
    worst, best = (9.0, 0) if mode == "min" else (0.0, 3)
    assert p.report(4, 10, worst)[0].origin.generation == f"m00{best}.g0000"


def test_others_are_compared_at_an_equal_or_lower_step():
    p = population(n=3)
    for step, value in ((10, 0.1), (20, 0.2), (200, 9.0)):
        p.report(0, step, value)
    p.report(1, 8, 0.0)
    assert not p.report(2, 12, 0.15)  # 0.1 at step 10 counts, 9.0 at step 200 does not
    (born,) = p.report(2, 22, -1.0)
    assert born.origin.point == Point("m000.g0000", 20)


def test_a_member_that_was_never_so_young_is_not_comparable():
    p = population(n=2)
    p.report(0, 50, 9.0)
    assert not p.report(1, 10, 0.0)
    assert len(p.report(1, 50, 0.0)) == 1


def test_the_donors_checkpoint_is_no_older_than_the_member_if_there_is_one():
    p = population(n=2)
    for step in (10, 30, 40):
        p.report(0, step, float(step))
    assert p.report(1, 35, 0.0)[0].origin.step == 30
    p = population(n=2)
    for step in (10, 30, 40):
        p.report(0, step, float(step))
    assert p.report(1, 20, 0.0)[0].origin.step == 30  # only 30 and 40 are kept


def test_a_member_that_has_just_copied_has_its_donors_past():
    p = population(n=3, fraction=0.3)
    reported(p, [0.9, 0.5, 0.1])
    assert p.state.mutator["members"]["1"]["scores"] == {"10": 0.9}
    assert p.generation(1).start_step == 10
    assert not p.report(1, 15, 0.0) and len(p.report(1, 20, 0.0)) == 1


def test_a_member_that_has_just_copied_stands_last_until_it_has_a_score_of_its_own():
    """Else each copy pushes the next member down, until the best one copies its own copy."""
    p = population(n=4, fraction=0.25)
    for member, value in enumerate([0.1, 0.2, 0.3, 0.4]):
        p.report(member, 5, value)
    reported(p, [0.1, 0.2, 0.3, 0.4])
    assert [born.member for born in p.events] == [0]


def test_a_diverged_member_is_rescued_at_once_and_never_a_parent():
    p = population(burn_in=1000)
    reported(p, [0.5, 0.6, 0.7, 0.8], step=3)
    (born,) = p.report(4, 3, diverged="loss is inf")
    assert born.origin.generation == "m003.g0000"
    assert "diverged at step 3 (loss is inf); copies member 3" in born.reason
    p.report(3, 5, diverged="nan")
    assert p.generation(3).origin.point == Point("m003.g0000", 3)  # through member 4, its copy


def test_a_diverged_member_waits_while_nobody_is_healthy():
    p = population(n=2)
    assert not p.report(0, 5, diverged="nan") and not p.report(1, 5, diverged="nan")
    assert not p.report(0, 10, 0.3)  # recovered by itself
    assert [b.member for b in p.report(1, 10, diverged="nan")] == [1]


def test_a_diverged_member_that_is_younger_than_all_others_is_rescued_too():
    p = population(n=2)
    p.report(0, 500, 1.0)
    assert p.report(1, 5, diverged="nan")[0].origin.point == Point("m000.g0000", 500)


def test_endless_rescues_come_to_an_end_and_a_score_starts_the_count_anew():
    p = population(n=2)
    p.report(0, 10, 1.0)
    rescued = [len(p.report(1, 12, diverged="nan")) for _ in range(FRUITLESS_RESCUES + 3)]
    assert sum(rescued) == FRUITLESS_RESCUES
    p.report(1, 15, 0.5)
    assert len(p.report(1, 16, diverged="nan")) == 1


def test_everybody_diverging_decides_nothing_and_crashes_nothing():
    p = population(total_steps=30)
    for step in (10, 20, 30):
        for member in range(5):
            assert not p.report(member, step, diverged="nan")
    assert {m.status for m in p.state.members} == {"finished"}


def test_burn_in_is_respected():
    p = population(n=2, burn_in=100)
    p.report(0, 10, 1.0)
    assert not p.report(1, 99, 0.0) and len(p.report(1, 100, 0.0)) == 1


def test_seconds_count_from_where_the_member_was_ready_last():
    p = population(n=2, interval=5.0, burn_in=8.0, time_unit="seconds")
    p.report(0, 10, 1.0, train_s=9.0)
    assert not p.report(1, 10, 0.0, train_s=6.0)
    assert len(p.report(1, 20, 0.0, train_s=8.5)) == 1
    assert not p.report(1, 30, 0.0, train_s=4.9)
    assert len(p.report(1, 40, 0.0, train_s=5.0)) == 1


def test_a_score_that_comes_later_decides_when_it_comes():
    p = population(n=2)
    p.report(0, 10, 1.0)
    assert not p.report(1, 10, None) and not p.report(1, 20, None)
    assert len(p.report(1, 10, 0.0, saved=False)) == 1


def test_a_failed_member_is_no_donor_and_not_compared():
    p = population(n=3)
    reported(p, [1.0, 9.0])
    p.fail(1)
    assert p.report(2, 10, 0.0)[0].origin.generation == "m000.g0000"


def test_nobody_is_replaced_at_its_end_nor_by_who_has_nothing_left_to_train():
    p = population(n=2, total_steps=20)
    p.report(0, 10, 1.0)
    p.report(0, 20, 2.0)
    assert not p.report(1, 20, 0.0)
    p = population(n=2, total_steps=20)
    p.report(0, 20, 2.0)
    assert not p.report(1, 19, diverged="nan")


def test_a_late_report_of_an_earlier_generation_changes_nothing():
    p = population(n=2)
    p.report(0, 10, 1.0)
    p.report(1, 10, 0.0)
    view = p.view(1, Evaluation("m001.g0000", 15, 99.0))
    assert p.rules.mutator.update(p.state.mutator, view, Rng(0, [1, 2])) == (p.state.mutator, [])


def test_the_donor_is_drawn_from_all_of_the_top():
    donors = set()
    for seed in range(30):
        p = population(n=8, fraction=0.25, seed=seed)
        (born,) = reported(p, [1, 2, 3, 4, 5, 6, 7, 0])
        donors.add(born.origin.generation)
    assert donors == {"m005.g0000", "m006.g0000"}


def test_everybody_in_the_bottom_fraction_copies_not_only_the_last():
    p = population(n=4, fraction=0.5)
    reported(p, [0.1, 0.7, 0.8], step=5)
    (born,) = p.report(3, 10, 0.5)
    assert born.reason.startswith("ranked 3 of 4")


def test_a_copy_that_has_not_reported_yet_is_no_donor_beside_one_that_has():
    for seed in range(10):
        p = population(n=4, fraction=0.5, seed=seed)
        reported(p, [4.0, 3.0, 1.0])  # member 1 becomes a copy of member 0, with new hparams
        assert [born.hparams for born in p.report(3, 10, 0.5)] == [plus_one(0)]


def test_the_state_stays_small_however_long_the_run_is():
    p = population(n=2)
    for step in range(1, 1000):
        p.report(0, step, 1.0, saved=False)
    assert len(p.state.mutator["members"]["0"]["scores"]) == POINTS


def test_update_changes_nothing_it_is_given_and_repeats_itself():
    p = population(n=2)
    p.report(0, 10, 1.0)
    report = Evaluation("m001.g0000", 10, 0.5)
    p.generation(1).evaluations.append(report)
    view, state = p.view(1, report), p.state.mutator
    before = copy.deepcopy((view, state))
    results = [p.rules.mutator.update(state, view, Rng(0, [1, 1])) for _ in range(2)]
    assert results[0] == results[1] and len(results[0][1]) == 1
    assert (view, state) == before


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": 0},
        {"interval": 1.5},
        {"interval": True},
        {"interval": 0, "time_unit": "seconds"},
        {"interval": 5, "time_unit": "weeks"},
        {"interval": 5, "fraction": 0},
        {"interval": 5, "fraction": 0.51},
        {"interval": 5, "fraction": float("nan")},
        {"interval": 5, "burn_in": -1},
        {"interval": 5, "burn_in": -1, "time_unit": "seconds"},
        {"interval": 5, "explore": None},
    ],
)
def test_bad_settings_are_refused_by_name(settings):
    with pytest.raises(InvalidSetting, match=r"TruncationSelection\.\w+: got"):
        TruncationSelection(**settings)


def test_a_population_it_cannot_work_with_is_refused():
    with pytest.raises(InvalidSetting, match="population of 1"):
        TruncationSelection(5, explore=plus_one).check(1, None)
    with pytest.raises(InvalidSetting, match="no space"):
        TruncationSelection(5).check(2, None)


@pytest.mark.parametrize("value", [lambda step: -step, lambda step: 0.5], ids=["falling", "equal"])
def test_scores_that_do_not_rise_send_nobody_round_in_a_circle(value):
    p = population(n=4, interval=20, fraction=0.5, total_steps=60)
    for _ in range(60):  # one worker: a member from report to report until it leads
        behind = [m for m in p.state.members if m.status == "active"]
        if not behind:
            break
        me = min(behind, key=lambda m: m.generation.step)
        for _ in range(2):
            if p.state.members[me.index].status == "active":
                step = p.generation(me.index).step + 10
                p.report(me.index, step, value(step))
    assert {m.status for m in p.state.members} == {"finished"}
