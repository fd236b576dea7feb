import copy
import functools
import random

import pytest
from msgspec.structs import replace

from fspop.errors import InvalidSetting
from fspop.mutators import Perturb, WinnerTakeAllGenetic
from fspop.mutators.rounds import FRUITLESS_ROUNDS
from fspop.records import Evaluation, Point, generation_id
from fspop.seeds import Rng
from fspop.space import LogUniform, Space
from tests.mutators.driver import Population


def plus_one(hparams):
    return hparams + 1


def population(n=3, steps=10, **settings):
    names = ("mode", "space", "total_steps", "seed")
    kept = {name: settings.pop(name) for name in names if name in settings}
    mutator = WinnerTakeAllGenetic(plus_one, steps_per_exploit=steps, **settings)
    return Population(mutator, [10 * i for i in range(n)], **kept)


def test_the_winner_keeps_its_hparams_and_the_others_get_them_mutated():
    p = population()
    p.report(0, 10, 0.1)
    p.report(1, 10, 0.9, params="best")
    born = p.report(2, 10, 0.5)
    assert [(b.member, b.hparams) for b in born] == [(0, 11), (1, 10), (2, 11)]
    assert {b.origin.point for b in born} == {Point("m001.g0000", 10)}
    assert [p.params(i) for i in range(3)] == ["best"] * 3
    assert all("member 1 won with 0.9" in b.reason for b in born)
    assert "had 0.1" in born[0].reason and "unchanged" in born[1].reason


def test_mode_min_and_ties_and_a_mutated_winner():
    p = population(mode="min", mutate_winner=True)
    for member, value in enumerate([0.5, 0.1, 0.1]):
        born = p.report(member, 10, value)
    assert [b.hparams for b in born] == [11, 11, 11]
    assert "goes on, mutated" in born[1].reason


def test_nothing_happens_before_the_last_member_spans_the_interval_with_a_score():
    p = population(n=2)
    assert p.limits() == [10, 10]
    assert not p.report(0, 10, 1.0) and not p.report(1, 5, 2.0) and not p.report(1, 10, None)
    assert len(p.report(1, 10, 3.0)) == 2
    assert p.limits() == [20, 20]
    assert not p.report(0, 15, 1.0)


@pytest.mark.parametrize(("average", "winner"), [(True, 0), (False, 1)])
def test_a_score_is_the_mean_from_the_interval_on_or_the_last_value(average, winner):
    p = population(n=2, average_over_samples=average)
    p.report(0, 5, 100.0)  # before the interval's end: never counts
    for step, value in ((10, 5.0), (12, 1.0)):
        p.report(0, step, value)
    p.report(1, 9, 2.0)
    born = p.report(1, 11, 2.0)
    assert {b.origin.generation for b in born} == {f"m00{winner}.g0000"}


def test_the_winners_latest_checkpoint_is_copied_even_without_a_score():
    p = population(n=2)
    p.report(0, 10, 1.0)
    p.report(0, 14, None)
    born = p.report(1, 10, 0.0)
    assert [b.origin.step for b in born] == [14, 14]


def test_a_score_without_any_checkpoint_waits_for_one():
    p = population(n=2)
    p.report(1, 10, 0.0)
    assert not p.report(0, 10, 1.0, saved=False)
    assert p.report(0, 10, None)[0].origin.generation == "m000.g0000"


def test_a_diverged_member_never_wins_holds_at_once_and_is_replaced():
    p = population(mode="min")
    p.report(1, 4, diverged="loss is nan")
    assert p.limits() == [10, 4, 10]
    p.report(0, 10, 3.0)
    born = p.report(2, 10, 4.0)
    assert {b.origin.generation for b in born} == {"m000.g0000"}
    assert "diverged at step 4 (loss is nan)" in born[1].reason


def test_a_divergence_counts_even_if_a_score_follows():
    p = population()
    for member, diverged in ((0, ""), (1, "inf"), (2, "")):
        p.report(member, 3, None if diverged else 0.0, diverged)
    p.report(1, 10, 99.0)
    p.report(0, 10, 1.0)
    assert p.report(2, 10, 0.0)[1].origin.generation == "m000.g0000"


def test_when_all_diverged_each_starts_over_from_where_its_round_began():
    p = population(n=2)
    p.report(0, 10, 1.0, params="good")
    p.report(1, 10, 0.0)
    for member in (0, 1):
        p.report(member, 15, 0.5)
        born = p.report(member, 18, diverged="nan")
    assert {b.origin.point for b in born} == {Point("m000.g0000", 10)}
    assert [p.params(i) for i in range(2)] == ["good", "good"]
    assert [b.hparams for b in born] == [1, 2]
    assert all(
        "nobody is healthy" in b.reason and "m000.g0000 at step 10" in b.reason for b in born
    )


def test_when_all_diverged_in_the_first_round_all_start_from_nothing_with_new_hparams():
    space = Space({"lr": LogUniform(1e-6, 1)})
    mutator = WinnerTakeAllGenetic(steps_per_exploit=10)
    p = Population(mutator, [{"lr": 1.0}] * 3, space=space)
    for member in range(3):
        born = p.report(member, 2, diverged="nan")
    assert [b.origin for b in born] == [None] * 3
    assert len({b.hparams["lr"] for b in born}) == 3 and max(b.hparams["lr"] for b in born) < 1
    assert "from nothing" in born[0].reason


def test_a_population_that_always_diverges_comes_to_an_end():
    p = population(n=2, total_steps=30)
    for _ in range(FRUITLESS_ROUNDS):
        p.report(0, 5, diverged="nan")
        assert len(p.report(1, 5, diverged="nan")) == 2
    p.report(0, 5, diverged="nan")
    assert not p.report(1, 5, diverged="nan") and p.limits() == [30, 30]


def test_a_failed_member_blocks_nobody_and_is_left_alone():
    p = population()
    p.report(0, 10, 1.0)
    p.report(1, 10, 2.0)
    born = p.fail(2)
    assert [b.member for b in born] == [0, 1] and p.state.members[2].status == "failed"
    p.report(1, 20, 2.0)
    assert [b.member for b in p.report(0, 20, 3.0)] == [0, 1]


def test_a_member_at_its_end_blocks_nobody_and_is_neither_winner_nor_loser():
    p = population(total_steps=20)
    p.report(0, 20, 9.0)  # ran through without asking
    p.report(1, 10, 1.0)
    born = p.report(2, 10, 2.0)
    assert [b.member for b in born] == [1, 2] and born[0].origin.generation == "m002.g0000"
    assert p.limits()[1:] == [20, 20]


def test_nothing_is_decided_at_the_end():
    p = population(n=2, steps=15, total_steps=20)
    p.report(0, 15, 1.0)
    p.report(1, 15, 2.0)
    assert not p.report(0, 20, 1.0) and not p.report(1, 20, 2.0)
    assert [m.status for m in p.state.members] == ["finished", "finished"]


def test_seconds_are_training_seconds_and_hold_a_member_where_they_ended():
    p = Population(WinnerTakeAllGenetic(plus_one, seconds_per_exploit=5.0), [0, 10], mode="max")
    p.report(0, 100, 9.0, train_s=4.9)
    assert p.limits() == [None, None]
    p.report(0, 120, 2.0, train_s=5.1)
    assert p.limits() == [120, None]
    born = p.report(1, 70, 3.0, train_s=6.0)
    assert {b.origin.point for b in born} == {Point("m001.g0000", 70)}
    assert p.limits() == [None, None] and not p.report(0, 80, 1.0, train_s=2.0)


# Two rounds of reports: a divergence, a tie, scores at steps that do not count.
ROUNDS = [
    [(0, 5, 0.3, ""), (0, 10, 0.4, ""), (1, 6, None, "nan"), (2, 10, 0.7, ""), (3, 10, 0.7, "")],
    [(0, 20, 0.1, ""), (1, 20, 0.8, ""), (2, 20, 0.2, ""), (3, 15, 0.9, ""), (3, 20, 0.3, "")],
]


def decisions_in_order(order):
    mutator = WinnerTakeAllGenetic(steps_per_exploit=10)
    space = Space({"lr": LogUniform(1e-6, 1)})
    p = Population(mutator, [{"lr": 0.1}] * 4, space=space)
    for number, reports in enumerate(ROUNDS):
        for member, step, value, diverged in order.sample(reports, len(reports)):
            name = generation_id(member, number)
            p.report(member, step, value, diverged, generation=name)
    return sorted(p.events, key=lambda born: (born.index, born.member))


def test_any_arrival_order_gives_the_same_decisions():
    expected = decisions_in_order(random.Random(0))
    assert [b.origin.generation for b in expected] == ["m002.g0000"] * 4 + ["m001.g0001"] * 4
    for seed in range(1, 100):
        assert decisions_in_order(random.Random(seed)) == expected


def test_update_changes_nothing_it_is_given_and_repeats_itself():
    p = population(n=2)
    p.report(0, 10, 1.0)
    p.report(1, 10, 2.0, saved=True)
    p.report(0, 20, 1.0)
    report = Evaluation(p.generation(1).id, 15, None, {}, "nan")
    p.generation(1).evaluations.append(report)
    view, state = p.view(1, report), p.state.mutator
    before = copy.deepcopy((view, state))
    results = [p.rules.mutator.update(state, view, Rng(0, [2, 2])) for _ in range(2)]
    assert results[0] == results[1] and len(results[0][1]) == 2
    assert (view, state) == before


def test_a_member_that_a_strategy_change_left_without_origin_starts_from_its_oldest_checkpoint():
    p = population(n=2)
    p.report(0, 10, 1.0)
    p.report(1, 10, 2.0)
    p.state = replace(p.state, mutator=p.rules.mutator.init())
    for step in (12, 14):
        p.report(0, step, 0.0)
    p.report(0, 16, diverged="nan")
    born = p.report(1, 16, diverged="nan")
    assert born[0].origin.point == Point("m000.g0001", 14)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps_per_exploit": 5, "seconds_per_exploit": 5},
        {"steps_per_exploit": 0},
        {"steps_per_exploit": 2.5},
        {"steps_per_exploit": True},
        {"seconds_per_exploit": 0},
        {"seconds_per_exploit": float("nan")},
        {"steps_per_exploit": 5, "mutate_fn": 3},
        {"steps_per_exploit": 5, "mutate_winner": 1},
        {"steps_per_exploit": 5, "average_over_samples": "no"},
    ],
)
def test_bad_settings_are_refused_by_name(settings):
    with pytest.raises(InvalidSetting, match=r"WinnerTakeAllGenetic.*got"):
        WinnerTakeAllGenetic(**settings)


def test_a_population_it_cannot_work_with_is_refused():
    with pytest.raises(InvalidSetting, match="population of 1"):
        WinnerTakeAllGenetic(plus_one, steps_per_exploit=1).check(1, None)
    with pytest.raises(InvalidSetting, match="space"):
        WinnerTakeAllGenetic(steps_per_exploit=1).check(2, None)
    WinnerTakeAllGenetic(plus_one, steps_per_exploit=1).check(2, None)


def test_settings_are_plain_data():
    mutator = WinnerTakeAllGenetic(functools.partial(plus_one), steps_per_exploit=5)
    assert mutator.settings()["mutate_fn"] == {"function": "functools:partial"}
    mutator = WinnerTakeAllGenetic(Perturb(), steps_per_exploit=5)
    assert mutator.settings()["mutate_fn"]["settings"]["factors"] == [0.8, 1.2]
