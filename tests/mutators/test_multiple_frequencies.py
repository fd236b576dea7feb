import pytest

from fspop.errors import InvalidSetting
from fspop.mutators import MultipleFrequencies
from tests.mutators.driver import Population


def plus_one(hparams):
    return hparams + 1


def population(n=8, frequencies=(1, 2), mode="max", **settings):
    mutator = MultipleFrequencies(10, frequencies, explore=plus_one, **settings)
    mutator.check(n, None)
    return Population(mutator, [10 * i for i in range(n)], mode)


def round_of(p, step, values):
    before = len(p.events)
    for member, value in enumerate(values):
        if value is None:
            p.report(member, step, diverged="nan")
        else:
            p.report(member, step, value)
    return {b.member: (b.origin.generation, b.hparams) for b in p.events[before:]}


def test_the_bottom_quarter_copies_its_own_top_and_explores():
    p = population()
    born = round_of(p, 10, [8, 7, 6, 5, 4, 3, 2, 1])
    assert born == {3: ("m000.g0000", 1)}  # the slow sub-population, 4 to 7, has to wait
    assert "round 1: ranked 4 of its 4; copies member 0" in p.events[0].reason


def test_the_third_quarter_takes_a_better_one_of_a_slower_population_with_its_hparams():
    p = population()
    assert round_of(p, 10, [8, 7, 1, 0, 5, 4, 3, 2])[2] == ("m004.g0000", 40)


def test_a_slow_population_takes_weights_of_a_faster_one_with_its_own_best_hparams():
    p = population()
    round_of(p, 10, [8, 7, 6, 5, 4, 3, 2, 1])
    born = round_of(p, 20, [8, 7, 6, 5, 4, 3, 2, 1])
    assert born[6] == ("m000.g0000", 40) and born[7] == ("m004.g0000", 41)
    assert "which is faster, with the hparams of member 4" in p.events[-2].reason


def test_nobody_migrates_to_something_worse():
    p = population()
    assert 2 not in round_of(p, 10, [8, 7, 6, 5, 4, 3, 2, 1])


def test_each_external_member_is_taken_once():
    p = population(16, (1, 5))
    born = round_of(p, 10, [9, 8, 7, 6, 2, 1, 0, -1, 5, 4, 3, 0, 0, 0, 0, 0])
    assert born[4] == ("m008.g0000", 80) and born[5] == ("m009.g0000", 90)


def test_a_diverged_member_is_replaced_whoever_is_in_turn():
    p = population()
    born = round_of(p, 10, [8, 7, 6, 5, 4, 3, None, 1])
    assert born == {3: ("m000.g0000", 1), 6: ("m004.g0000", 41)}


def test_a_sub_population_that_diverged_as_a_whole_is_rescued_by_another():
    p = population()
    born = round_of(p, 10, [8, 7, 6, 5, None, None, None, None])
    assert {born[i] for i in (4, 5, 6, 7)} == {("m000.g0000", 1)}


def test_the_mode_turns_everything_round():
    p, q = population(), population(mode="min")
    values = [8, 7, 1, 0, 5, 4, 3, 2]
    assert round_of(p, 10, values) == round_of(q, 10, [-v for v in values])


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": 0},
        {"frequencies": (1,)},
        {"frequencies": (2, 4)},
        {"frequencies": (1, 4, 3)},
        {"frequencies": (1, 2.5)},
        {"frequencies": 3},
        {"time_unit": "weeks"},
        {"patience": 0},
        {"explore": 3},
    ],
)
def test_bad_settings_name_the_field(settings):
    with pytest.raises(InvalidSetting, match=rf"MultipleFrequencies\.{next(iter(settings))}: got"):
        MultipleFrequencies(**{"interval": 10, **settings})


def test_a_population_that_cannot_be_split_is_refused():
    with pytest.raises(InvalidSetting, match=r"give a multiple of 8, e\.g\. 24"):
        MultipleFrequencies(10, explore=plus_one).check(20, None)
