import functools
import random

import pytest

from fspop.errors import InvalidSetting
from fspop.mutators import Perturb
from fspop.mutators.explore import check_explore, check_space, explore, resampled
from fspop.space import Integer, Space, Uniform

SPACE = Space({"x": Uniform(1, 10), "n": Integer(1, 5)})
HPARAMS = {"x": 5.0, "n": 4}


def doubled(hparams):
    return {**hparams, "x": hparams["x"] * 2}


def shifted(hparams, rng):
    return {**hparams, "x": hparams["x"] + rng.random()}


def scaled(hparams, factor=3, *, rng=None):
    return {**hparams, "x": factor * rng.random()}


def with_a_default(hparams, factor=0.5):
    return {**hparams, "x": hparams["x"] * factor}


def test_perturb_works_on_the_space_with_its_settings():
    result = explore(Perturb((0.5, 0.5), 0), HPARAMS, SPACE, random.Random(0))
    assert result == {"x": 2.5, "n": 2}


def test_a_function_gets_hparams_and_random_numbers_if_it_asks_for_them():
    for function in (shifted, scaled):
        a, b = (explore(function, HPARAMS, None, random.Random(1)) for _ in range(2))
        assert a == b != HPARAMS
    assert explore(doubled, HPARAMS, None, random.Random(1))["x"] == 10.0
    assert explore(with_a_default, HPARAMS, None, random.Random(1))["x"] == 2.5


def test_a_partial_and_a_bare_number_work():
    rule = functools.partial(with_a_default, factor=0.1)
    assert explore(rule, HPARAMS, None, random.Random(0))["x"] == 0.5
    assert explore(lambda h: h * 2, 1.5, None, random.Random(0)) == 3.0


def test_a_function_that_changes_its_argument_changes_a_copy():
    def careless(hparams):
        hparams["x"] = 9.0
        return hparams

    given = dict(HPARAMS)
    assert explore(careless, given, None, random.Random(0))["x"] == 9.0
    assert given == HPARAMS


def test_what_a_function_returns_stays_within_the_space():
    assert explore(lambda h: {"x": 99, "n": 2.4}, HPARAMS, SPACE, random.Random(0)) == {
        "x": 10,
        "n": 2,
    }


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda h: None, "return the new hparams"),
        (lambda h: {"x": object()}, "plain data"),
        (lambda h: {"x": float("nan"), "n": 1}, "NaN"),
        (lambda h: {"x": 1.0}, "hparams.n: missing"),
    ],
)
def test_what_cannot_be_hparams_is_refused(function, message):
    with pytest.raises(InvalidSetting, match=message):
        explore(function, HPARAMS, SPACE, random.Random(0))


def test_perturb_without_a_space_says_what_to_do():
    with pytest.raises(InvalidSetting, match="has no space; give"):
        explore(Perturb(), HPARAMS, None, random.Random(0))


def test_resampled_draws_everything_anew():
    seen = {explore(resampled(Perturb()), HPARAMS, SPACE, random.Random(s))["x"] for s in range(20)}
    assert len(seen) == 20
    assert resampled(doubled) is doubled


@pytest.mark.parametrize("rule", [3, None, dict, lambda: 1, lambda a, b, c: a, lambda *, rng: 1])
def test_what_is_no_explore_rule_is_refused_when_the_strategy_is_made(rule):
    with pytest.raises(InvalidSetting, match="here: got"):
        check_explore(rule, "here")


@pytest.mark.parametrize(
    "rule", [Perturb(), doubled, shifted, scaled, with_a_default, lambda *a: a]
)
def test_what_takes_hparams_is_accepted(rule):
    check_explore(rule, "here")


@pytest.mark.parametrize(
    "make", [lambda: Perturb(factors=(0.8,)), lambda: Perturb(resample_probability=1.5)]
)
def test_bad_settings_name_the_field(make):
    with pytest.raises(InvalidSetting, match=r"Perturb\.(factors|resample_probability): got"):
        make()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda h: {**h, "lr2": 1.0}, "fails on hparams of the space: .*the key 'lr2'"),
        (lambda h: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda h: None, "return the new hparams"),
    ],
)
def test_a_function_that_fails_on_the_space_is_refused_at_init(function, message):
    with pytest.raises(InvalidSetting, match=message):
        check_space(function, "here", SPACE)
    check_space(function, "here", None)


def test_keys_that_the_hparams_had_before_may_stay():
    given = {**HPARAMS, "extra": 1}
    assert explore(doubled, given, SPACE, random.Random(0)) == {"x": 10.0, "n": 4, "extra": 1}
