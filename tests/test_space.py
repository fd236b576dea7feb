import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.errors import InvalidSetting
from fspop.space import (
    Boolean,
    Choice,
    Integer,
    LogUniform,
    Ordinal,
    Quantized,
    Space,
    Uniform,
)

FINITE = st.floats(-1e12, 1e12)
STEPS = st.sampled_from([0.1, 0.25, 1, 3, 1e-3])


@st.composite
def domains(draw):
    low = draw(FINITE)
    high = draw(FINITE.filter(lambda x: x > low))
    whole = draw(st.integers(-1000, 1000))
    positive = draw(st.floats(1e-9, 1.0))
    step = draw(STEPS)
    n = draw(st.integers(1, 500))
    return draw(
        st.sampled_from(
            [
                Uniform(low, high),
                LogUniform(positive, positive * 10),
                Integer(whole, whole + n),
                Integer(1 + abs(whole), 1 + abs(whole) + n, log=True),
                Quantized(whole, whole + (n + 0.5) * step, step),
                Quantized(0.1, 0.1 + n * step, step, log=True),
                Choice(list(range(n))),
                Ordinal([f"{i}" for i in range(n)]),
                Boolean(),
            ]
        )
    )


SPACE = Space(
    {
        "optimizer": {"lr": LogUniform(1e-5, 1.0), "momentum": Uniform(0.0, 0.99), "name": "sgd"},
        "layers": Integer(1, 6),
        "width": Quantized(16, 256, 16, log=True),
        "act": Choice(["relu", "gelu", None]),
        "size": Ordinal([1, 10, 100]),
        "norm": Boolean(),
        "betas": [0.9, 0.999],
    }
)


@given(domains(), st.integers(0, 2**32), st.tuples(st.floats(0.01, 1), st.floats(1, 100)))
def test_sampled_and_perturbed_values_stay_in_the_domain(domain, seed, factors):
    rng = random.Random(seed)
    value = domain.sample(rng)
    assert domain.contains(value)
    for _ in range(40):
        value = domain.perturb(value, rng, factors)
        assert domain.contains(value) and domain.clip(value) == value


def test_bounds_hold_over_thousands_of_perturbations():
    rng, hparams = random.Random(0), SPACE.sample(random.Random(1))
    for _ in range(5000):
        hparams = SPACE.perturb(hparams, rng, resample_probability=0.02)
        assert SPACE.contains(hparams)


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(0, 999))
def test_integers_are_never_stuck(low, width, seed):
    domain, rng = Integer(low, low + width), random.Random(seed)
    for value in range(low, low + width + 1):
        assert domain.perturb(value, rng) != value


def test_quantized_values_are_never_stuck_and_have_no_rounding_noise():
    domain, rng = Quantized(0.1, 1.05, 0.1), random.Random(0)
    seen, value = set(), 0.5
    for _ in range(500):
        new = domain.perturb(value, rng)
        assert new != value
        seen.add(new)
        value = new
    assert seen == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}


def test_integer_factors_multiply_and_a_small_product_still_moves():
    values = {Integer(1, 1000).perturb(100, random.Random(seed)) for seed in range(20)}
    assert values == {80, 120}
    assert {Integer(-9, 9).perturb(-1, random.Random(s)) for s in range(20)} == {-2, 0}
    assert {Integer(0, 9).perturb(0, random.Random(s)) for s in range(20)} == {1}


def test_floats_multiply_by_one_of_the_factors_and_stop_at_the_bounds():
    values = {Uniform(0, 1).perturb(0.5, random.Random(seed)) for seed in range(20)}
    assert values == {0.4, 0.6}
    assert {Uniform(0, 1).perturb(0.9, random.Random(s), (2, 3)) for s in range(9)} == {1.0}
    assert LogUniform(1e-3, 1).perturb(1e-3, random.Random(0), (0.5, 0.5)) == 1e-3


def test_zero_stays_zero_until_it_is_resampled():
    space, rng = Space({"x": Uniform(0, 1)}), random.Random(0)
    hparams = {"x": 0.0}
    for _ in range(100):
        hparams = space.perturb(hparams, rng, resample_probability=0)
    assert hparams == {"x": 0.0}
    moved = [space.perturb(hparams, rng) for _ in range(100)]
    assert 10 < sum(h["x"] > 0 for h in moved) < 45


def test_log_scales_sample_evenly_in_the_logarithm():
    rng = random.Random(0)
    assert sum(LogUniform(1e-4, 1).sample(rng) < 1e-2 for _ in range(4000)) / 4000 == pytest.approx(
        0.5, abs=0.05
    )
    small = sum(Integer(1, 9999, log=True).sample(rng) < 100 for _ in range(4000)) / 4000
    assert small == pytest.approx(0.5, abs=0.05)


def test_a_choice_draws_another_option_and_an_ordinal_moves_to_a_neighbour():
    rng = random.Random(0)
    assert {Choice(["a", "b", "c"]).perturb("b", rng) for _ in range(50)} == {"a", "c"}
    ordinal = Ordinal([1, 2, 4, 8])
    assert {ordinal.perturb(4, rng) for _ in range(50)} == {2, 8}
    assert {ordinal.perturb(8, rng) for _ in range(50)} == {4}
    assert Boolean().perturb(True, rng) is False
    assert Choice(["only"]).perturb("only", rng) == "only"


def test_options_tell_numbers_from_booleans():
    choice = Choice([1, True, "1", {"a": [1]}])
    assert not choice.contains(1.0) and choice.contains(True)
    assert choice.clip(True) is True and choice.clip(1) is not True


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(1, 0),
        lambda: Uniform(0, 0),
        lambda: Uniform(0, math.inf),
        lambda: Uniform(math.nan, 1),
        lambda: Uniform("0", 1),
        lambda: Uniform(True, 2),
        lambda: Uniform(-1.7e308, 1.7e308),
        lambda: LogUniform(0, 1),
        lambda: LogUniform(-1, 1),
        lambda: Integer(0, 8, log=True),
        lambda: Integer(0.5, 8),
        lambda: Integer(False, True),
        lambda: Integer(0, 10**30),
        lambda: Integer(0, 8, log=1),
        lambda: Quantized(0, 1, 0),
        lambda: Quantized(0, 1, 2),
        lambda: Quantized(0, 1, math.nan),
        lambda: Choice([]),
        lambda: Choice("abc"),
        lambda: Choice([1, 2, 1]),
        lambda: Choice([object()]),
        lambda: Ordinal([math.nan]),
    ],
)
def test_a_domain_that_cannot_be_is_refused_with_its_name(make):
    named = r"^(Log)?(Uniform|Integer|Quantized|Choice|Ordinal)(\(.*\): .+|\S*: got .+)"
    with pytest.raises(InvalidSetting, match=named) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Uniform(0, 1), math.nan),
        (Uniform(0, 1), True),
        (Integer(0, 9), "3"),
        (Integer(0, 9), None),
        (Choice([1, 2]), 3),
        (Ordinal([1, 2]), "1"),
        (Boolean(), 1),
    ],
)
def test_a_value_that_cannot_be_mended_is_refused(domain, value):
    assert not domain.contains(value)
    for change in (domain.clip, lambda v: domain.perturb(v, random.Random(0))):
        with pytest.raises(InvalidSetting, match="must be"):
            change(value)


def test_numbers_outside_are_moved_to_the_nearest_value():
    assert Uniform(0, 1).clip(7) == 1.0 and isinstance(Uniform(0, 1).clip(1), float)
    assert LogUniform(1e-3, 1).clip(-5) == 1e-3
    assert Integer(0, 9).clip(3.6) == 4 and Integer(0, 9).clip(-math.inf) == 0
    assert Quantized(0, 1, 0.25).clip(0.7) == 0.75
    assert Integer(0, 9).clip(10**400) == 9


def test_a_space_survives_the_way_through_json():
    data = json.loads(json.dumps(SPACE.to_data(), sort_keys=True))
    back = Space.from_data(data)
    assert back == SPACE
    assert back.sample(random.Random(5)) == SPACE.sample(random.Random(5))


@given(domains())
def test_every_domain_survives_the_way_through_json(domain):
    space = Space({"outer": {"x": domain}})
    assert Space.from_data(json.loads(json.dumps(space.to_data()))) == space


def test_a_seed_gives_the_same_hparams_however_the_space_was_declared():
    forward = Space({"a": Uniform(0, 1), "b": {"c": Integer(0, 9), "d": Boolean()}})
    backward = Space({"b": {"d": Boolean(), "c": Integer(0, 9)}, "a": Uniform(0, 1)})
    assert forward.sample(random.Random(3)) == backward.sample(random.Random(3))
    hparams = forward.sample(random.Random(3))
    changed = [s.perturb(hparams, random.Random(4)) for s in (forward, backward)]
    assert changed[0] == changed[1]
    assert list(backward.sample(random.Random(3))) == ["b", "a"]


def test_perturbing_keeps_what_the_space_does_not_know_and_its_input():
    hparams = {**SPACE.sample(random.Random(0)), "tag": ["mine"]}
    before = json.dumps(hparams)
    changed = SPACE.perturb(hparams, random.Random(1))
    assert changed["tag"] == ["mine"] and changed["optimizer"]["name"] == "sgd"
    assert json.dumps(hparams) == before
    assert not SPACE.contains(changed)


def test_resampling_ignores_the_value_and_never_resampling_stays_near():
    space, rng = Space({"x": Uniform(1, 100)}), random.Random(0)
    near = {space.perturb({"x": 10.0}, rng, resample_probability=0)["x"] for _ in range(50)}
    assert near == {8.0, 12.0}
    assert (
        len({space.perturb({"x": 10.0}, rng, resample_probability=1)["x"] for _ in range(50)}) == 50
    )


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({}, "hparams.act: missing"),
        ({**SPACE.sample(random.Random(0)), "layers": "two"}, "hparams.layers: Integer"),
        ({**SPACE.sample(random.Random(0)), "optimizer": 3}, "hparams.optimizer: got 3"),
        ({**SPACE.sample(random.Random(0)), "optimizer": {}}, "hparams.optimizer.lr: missing"),
        (3, "hparams: got 3"),
    ],
)
def test_hparams_of_another_shape_are_refused_by_name(hparams, message):
    with pytest.raises(InvalidSetting, match=message):
        SPACE.perturb(hparams, random.Random(0))
    assert not SPACE.contains(hparams)


def test_clipping_moves_values_inside_and_fills_in_constants():
    hparams = SPACE.sample(random.Random(0)) | {"layers": 99}
    del hparams["betas"]
    clipped = SPACE.clip(hparams)
    assert clipped["layers"] == 6 and SPACE.contains(clipped)


def test_leaves_are_named_with_dots():
    assert list(SPACE.leaves()) == [
        *("act", "layers", "norm", "optimizer.lr", "optimizer.momentum", "size", "width")
    ]
    assert SPACE.leaves()["layers"] == Integer(1, 6)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"a": 1},
        [Uniform(0, 1)],
        None,
        {1: Uniform(0, 1)},
        {"$domain": Uniform(0, 1)},
        {"a": [Uniform(0, 1)]},
        {"a": Uniform},
        {"a.b": Uniform(0, 1), "a": {"b": Uniform(0, 1)}},
        {"a": Uniform(0, 1), "b": math.nan},
    ],
)
def test_a_space_that_cannot_be_is_refused(mapping):
    with pytest.raises(InvalidSetting, match=r"[Ss]pace"):
        Space(mapping)


@pytest.mark.parametrize(
    "data",
    [
        {"a": {"$domain": "Nonsense"}},
        {"a": {"$domain": "Uniform", "low": 0}},
        {"a": {"$domain": ["Uniform"], "low": 0, "high": 1}},
        {"$domain": "Uniform", "low": 0, "high": 1},
    ],
)
def test_data_that_describes_no_space_is_refused(data):
    with pytest.raises(InvalidSetting, match=r"[Ss]pace"):
        Space.from_data(data)


@pytest.mark.parametrize(
    "setting",
    [{"factors": (0, 1)}, {"factors": (1.2,)}, {"factors": 2}, {"resample_probability": 2}],
)
def test_bad_settings_of_a_perturbation_are_refused(setting):
    with pytest.raises(InvalidSetting, match=next(iter(setting))):
        SPACE.perturb(SPACE.sample(random.Random(0)), random.Random(0), **setting)
