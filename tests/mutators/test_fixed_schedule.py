import random

import pytest

from fspop import Space, Uniform
from fspop.errors import InvalidSetting
from fspop.mutators import FixedSchedule
from tests.mutators.driver import Population


def trained(schedule, every, total=20, restarted=False):
    """The hparams in effect for each step, when reporting every so many steps."""
    p = Population(FixedSchedule(schedule), ["first"], total_steps=total)
    used = {}
    p.report(0, 0)
    while p.state.members[0].status == "active":
        if restarted:
            p.restart()
        step = p.generation(0).step
        stop = min(step + every, total)
        used |= dict.fromkeys(range(step, stop), p.hparams(0))
        p.report(0, stop, 1.0)
    return [used[step] for step in range(total)], p


def test_a_key_rules_from_its_step_on():
    used, p = trained({5: "a", 10: "b"}, 5)
    assert used == ["first"] * 5 + ["a"] * 5 + ["b"] * 10
    assert [b.reason for b in p.events] == [
        f"schedule: step {k} is due at step {k}" for k in (5, 10)
    ]
    assert [b.origin.step for b in p.events] == [5, 10]


def test_a_key_between_two_evaluations_rules_after_the_second():
    used, _ = trained({5: "a"}, 3, total=9)
    assert used == ["first"] * 6 + ["a"] * 3


def test_of_several_due_keys_the_largest_rules_and_the_others_are_named():
    used, p = trained({1: "a", 2: "b", 5: "c", 15: "d"}, 8)
    assert used == ["first"] * 8 + ["c"] * 8 + ["d"] * 4
    assert p.events[0].reason == "schedule: step 5 is due at step 8, skipping 1, 2"


def test_step_0_rules_from_the_very_start():
    assert trained({0: "a"}, 5)[0] == ["a"] * 20


def test_a_restart_at_any_time_changes_nothing():
    expected, p = trained({0: "a", 7: "b", 12: "c"}, 4)
    again, q = trained({0: "a", 7: "b", 12: "c"}, 4, restarted=True)
    assert again == expected and q.events == p.events


def test_a_member_stops_exactly_where_a_key_is_due():
    p = Population(FixedSchedule({5: "a", 10: "b"}), ["first", "first"])
    assert p.limits() == [5, 5]
    p.report(1, 0)
    p.report(1, 5)
    assert p.limits() == [5, 10] and [p.hparams(i) for i in (0, 1)] == ["first", "a"]
    p.report(1, 10)
    assert p.limits() == [5, None]


def test_without_a_checkpoint_a_key_waits():
    p = Population(FixedSchedule({5: "a"}), ["first"])
    assert not p.report(0, 5, 1.0, saved=False)
    assert p.report(0, 5, None)[0].hparams == "a"


def test_the_steps_assigned_are_the_steps_trained_whatever_the_schedule():
    for seed in range(20):
        rng = random.Random(seed)
        schedule = {step: step for step in rng.sample(range(30), 6)}
        used, _ = trained(schedule, rng.randint(1, 4), total=30)
        assert all(hparams == "first" or hparams <= step for step, hparams in enumerate(used))


@pytest.mark.parametrize(
    "schedule", [{}, [], 3, {-1: "a"}, {"1": "a"}, {1.5: "a"}, [(1, "a"), (1, "b")], [1], {1: {2}}]
)
def test_bad_schedules_are_refused_by_name(schedule):
    with pytest.raises(InvalidSetting, match=r"FixedSchedule\.schedule"):
        FixedSchedule(schedule)


def test_pairs_as_settings_give_them_are_read_again():
    mutator = FixedSchedule({3: "b", 1: "a"})
    assert mutator.settings() == {"schedule": [[1, "a"], [3, "b"]]}
    assert FixedSchedule(mutator.settings()["schedule"]) == mutator


def test_hparams_that_the_space_does_not_have_are_refused_at_init():
    space = Space({"b": Uniform(0.0, 1.0)})
    FixedSchedule({5: {"b": 0.5}}).check(2, space)
    for wrong in ({"zzz": 0.5}, {"b": 7.0}, 7):
        with pytest.raises(InvalidSetting, match=r"schedule\[5\]: got .* which the space does not"):
            FixedSchedule({5: wrong}).check(2, space)


def test_a_corrected_schedule_fires_again_where_it_says_something_else():
    used = {"used": {"0": 5, "1": 10}}
    former = FixedSchedule({5: "wrong", 10: "b"})
    corrected = FixedSchedule({5: "a", 10: "b"})
    assert corrected.resume(None, former, used) == {"used": {"1": 10}}
