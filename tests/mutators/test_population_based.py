import pytest

from fspop.errors import InvalidSetting
from fspop.mutators import (
    Backtracking,
    BinaryTournament,
    NaturalSelection,
    PopulationBased,
    Tournament,
    Truncation,
    TruncationSelection,
    WelchTTest,
)
from fspop.mutators.evolution import MAX_SETBACKS
from fspop.records import Point
from tests.mutators.driver import Population


def plus_one(hparams):
    return hparams + 1


def population(make=TruncationSelection, n=4, mode="max", total_steps=None, seed=0, **settings):
    mutator = make(10, explore=plus_one, **settings)
    mutator.check(n, None)
    return Population(mutator, [10 * i for i in range(n)], mode, seed, total_steps=total_steps)


def round_of(p, values, step=10, **more):
    return [born for i, value in enumerate(values) for born in p.report(i, step, value, **more)]


def test_a_round_ends_with_the_last_member_and_only_the_worst_are_replaced():
    p = population(synchronous=True, fraction=0.25)
    assert p.limits() == [10] * 4
    assert round_of(p, [0.5, 0.1, 0.9]) == []
    (born,) = p.report(3, 10, 0.4)
    assert (born.member, born.hparams, born.origin.point) == (1, 21, Point("m002.g0000", 10))
    assert born.reason == "round 0: ranked 4 of 4; copies member 2 at step 10 and explores"
    assert p.limits() == [20] * 4


def test_a_failed_member_ends_a_round_and_counts_as_ranked_last():
    p = population(synchronous=True, fraction=0.25)
    round_of(p, [0.5, 0.1, 0.9])
    assert p.fail(3) == []  # it is the worst of four, so nobody else is
    assert p.limits()[:3] == [20] * 3


def test_a_diverged_member_holds_at_once_and_is_replaced_beside_the_worst():
    p = population(synchronous=True, fraction=0.5)
    p.report(1, 4, diverged="nan")
    assert p.limits() == [10, 4, 10, 10]
    p.report(0, 10, 0.5)
    p.report(2, 10, 0.9)
    born = p.report(3, 10, 0.1)
    assert [b.member for b in born] == [1, 3]
    assert "diverged at step 4 (nan)" in born[0].reason


def test_a_score_after_a_divergence_does_not_hide_it():
    p = population(synchronous=True)
    p.report(3, 4, diverged="nan")
    p.report(3, 10, 99.0)
    round_of(p, [0.5, 0.1, 0.9])
    assert [b.member for b in p.events] == [3]


def test_when_nobody_is_healthy_each_goes_back_to_where_its_round_began():
    p = population(synchronous=True, n=2)
    round_of(p, [1.0, 0.5])  # member 1 becomes a copy of member 0
    for member in (0, 1):
        p.report(member, 14, 0.0)
        p.report(member, 16, 0.0)
        born = p.report(member, 18, diverged="nan")
    assert [b.origin.point for b in born] == [Point("m000.g0000", 10)] * 2
    assert all("nobody is healthy" in b.reason for b in born)


def test_a_straggler_is_waited_for_as_long_as_patience_lasts():
    p = population(synchronous=True, n=3, patience=5, fraction=0.3)
    round_of(p, [0.5, 0.1])
    assert p.limits() == [15, 15, 15]
    assert not p.report(0, 15, 0.6)
    (born,) = p.report(1, 15, 0.2)  # both have trained on for 5 steps; member 2 is left out
    assert born.member == 1 and "ranked 2 of 2" in born.reason
    assert p.limits() == [25, 30, 15]
    assert not p.report(0, 20, 0.6)
    assert not p.report(2, 12, 0.3)  # ready at last, in the next round
    assert [b.member for b in p.report(1, 25, 0.1)] == [1]


def test_rounds_by_seconds_and_by_epochs():
    p = population(synchronous=True, n=2, time_unit="epochs")
    p.report(0, 100, 1.0, metrics={"epoch": 9})
    assert p.limits() == [None, None]
    p.report(0, 110, 1.0, metrics={"epoch": 10})
    assert p.limits() == [110, None]
    assert len(p.report(1, 300, 0.0, metrics={"epoch": 12})) == 1
    p.report(0, 210, 1.0, metrics={"epoch": 19})
    p.report(1, 210, 0.0, metrics={"epoch": 20})
    assert p.limits() == [None, 210]
    p = population(synchronous=True, n=2, time_unit="seconds")
    p.report(0, 100, 1.0, train_s=11.0)
    assert p.limits() == [100, None] and len(p.report(1, 50, 0.0, train_s=10.0)) == 1
    p.report(0, 200, 1.0, train_s=20.0)
    assert p.limits() == [None, None]


def test_epochs_go_on_from_the_donors():
    p = population(n=2, time_unit="epochs")
    p.report(0, 10, 1.0, metrics={"epoch": 30})
    assert len(p.report(1, 10, 0.0, metrics={"epoch": 10})) == 1
    assert not p.report(1, 20, 0.0, metrics={"epoch": 39})
    assert len(p.report(1, 30, 0.0, metrics={"epoch": 40})) == 1


@pytest.mark.parametrize("synchronous", [False, True])
def test_the_reference_member_is_left_alone_and_leads_nobody(synchronous):
    p = population(synchronous=synchronous, reference=0, fraction=0.5)
    assert p.limits()[0] is None
    p.report(0, 500, 99.0)
    born = [b for i in (3, 2, 1) for b in p.report(i, 10, i / 10)]
    assert born and all(b.origin.generation == "m003.g0000" and b.member for b in born)
    p.report(0, 600, diverged="nan")
    assert p.generation(0).id == "m000.g0000"


def test_the_elite_is_never_replaced():
    for seed in range(20):
        p = population(BinaryTournament, synchronous=True, elite=3, seed=seed)
        round_of(p, [0.4, 0.3, 0.2, 0.1])
        assert [b.member for b in p.events] == [3]


def test_a_tournament_meets_another_opponent_each_time():
    met = set()
    p = population(BinaryTournament, n=8)
    for step in range(10, 200, 10):
        for member in range(7):
            p.report(member, step, float(member))
        for born in p.report(7, step, -1.0):
            met.add(born.origin.generation)
            p.report(7, step, -1.0)
    assert len(met) >= 5


def test_a_t_test_knows_the_scores_of_several_rounds_and_of_the_parents():
    p = population(WelchTTest, n=2, n_scores=4, p=0.05, synchronous=True)
    born = []
    for step in range(10, 100, 10):
        born += p.report(0, step, 1.0 + step / 1000) + p.report(1, step, step / 1000)
    # two scores suffice here; a copy shares its donor's past, which has to be outlived
    assert [(b.member, b.origin.step) for b in born] == [(1, 20), (1, 60)]


def test_backtracking_returns_to_the_best_checkpoint_there_ever_was():
    p = population(Backtracking, n=4, fraction=0.25, synchronous=True)
    round_of(p, [0.5, 0.9, 0.1, 0.2], params="good")
    assert p.events[-1].origin.point == Point("m001.g0000", 10)
    born = round_of(p, [0.05, 0.04, 0.03, 0.02], step=20)
    assert [(b.member, b.origin.point) for b in born] == [(3, Point("m001.g0000", 10))]
    assert p.params(3) == "good" and p.hparams(3) == 11
    assert p.limits() == [30, 30, 30, 20]


def test_backtracking_keeps_the_archive_and_comes_to_an_end():
    p = population(Backtracking, n=2, fraction=0.5, total_steps=1000)
    p.report(0, 10, 9.0)
    for step in range(20, 400, 10):
        p.report(0, step, 1.0)
    assert Point("m000.g0000", 10) in {c.point for c in p.state.kept}
    for _ in range(MAX_SETBACKS + 3):
        p.report(1, 100, 0.0)
    back = [b for b in p.events if b.member == 1 and b.origin.step == 10]
    assert len(back) == MAX_SETBACKS


def test_named_strategies_are_rules_with_a_name():
    assert TruncationSelection(5, 0.3).rule == Truncation(0.3)
    named, composed = BinaryTournament(10), PopulationBased(10, exploit=Tournament())
    assert named.rule == composed.rule == Tournament()
    assert composed.settings()["exploit"] == {"name": "Tournament", "settings": {}}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"synchronous": 1}, "synchronous"),
        ({"patience": 5}, "patience"),
        ({"patience": 0, "synchronous": True}, "patience"),
        ({"elite": -1}, "elite"),
        ({"reference": 1.5}, "reference"),
        ({"exploit": "truncation"}, "exploit"),
        ({"explore": 5}, "explore"),
    ],
)
def test_bad_settings_name_the_field(settings, field):
    with pytest.raises(InvalidSetting, match=rf"PopulationBased\.{field}: got"):
        PopulationBased(10, **settings)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: WelchTTest(10, n_scores=1), "WelchTTest.n_scores"),
        (lambda: WelchTTest(10, p=0), "WelchTTest.p"),
        (lambda: NaturalSelection(10, deviations=-1), "NaturalSelection.deviations"),
        (lambda: NaturalSelection(10, least="a"), "NaturalSelection.least"),
        (lambda: Backtracking(10, fraction=0.9), "Backtracking.fraction"),
        (lambda: BinaryTournament(0.5), "BinaryTournament.interval"),
        (lambda: BinaryTournament(-1.0, time_unit="epochs"), "BinaryTournament.interval"),
        (lambda: BinaryTournament(1, burn_in=-2, time_unit="epochs"), "BinaryTournament.burn_in"),
    ],
)
def test_bad_settings_of_named_strategies_name_the_field(make, field):
    with pytest.raises(InvalidSetting, match=rf"{field}: got"):
        make()


@pytest.mark.parametrize(
    ("settings", "n", "message"),
    [
        ({"reference": 4}, 4, "reference: got member 4"),
        ({"reference": 0}, 2, "population of 2; give at least 2 members beside the reference"),
        ({"elite": 4}, 4, "elite: got 4"),
    ],
)
def test_populations_that_do_not_fit_are_refused(settings, n, message):
    with pytest.raises(InvalidSetting, match=message):
        PopulationBased(10, explore=plus_one, **settings).check(n, None)
