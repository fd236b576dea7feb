import dataclasses
import json
import pickle
import random

import pytest
from hypothesis import given, settings
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
    When,
)

SPACE = Space(
    {
        "lr": LogUniform(1e-5, 1.0),
        "optimizer": Choice(["sgd", "adam", "lion"]),
        "momentum": When("optimizer", "sgd", Uniform(0.5, 0.99)),
        "nesterov": When("optimizer", "sgd", When("momentum_kind", ["heavy"], Boolean())),
        "momentum_kind": When("optimizer", {"sgd", "lion"}, Choice(["heavy", "light"])),
        "betas": When("optimizer", ["adam", "lion"], {"one": Uniform(0, 1), "eps": 1e-8}),
        "net": {
            "depth": Integer(1, 3),
            "second": When("depth", [2, 3], {"width": Quantized(8, 64, 8)}),
            "third": When("depth", 3, {"width": Ordinal([1, 2]), "drop": Boolean()}),
            "rate": When("third.drop", True, Uniform(0.1, 0.5)),
            "outer": When("optimizer", "adam", Boolean()),
        },
    }
)


def wanted_names(h):
    """Which places exist in these hparams, by rules written out once more."""
    names = {"lr", "optimizer", "net", "net.depth"}
    sgd, adam, deep = h["optimizer"] == "sgd", h["optimizer"] == "adam", h["net"]["depth"]
    names |= {"momentum"} if sgd else {"betas", "betas.one", "betas.eps"}
    names |= set() if adam else {"momentum_kind"}
    names |= {"nesterov"} if sgd and h["momentum_kind"] == "heavy" else set()
    names |= {"net.second", "net.second.width"} if deep >= 2 else set()
    names |= {"net.third", "net.third.width", "net.third.drop"} if deep == 3 else set()
    names |= {"net.rate"} if deep == 3 and h["net"]["third"]["drop"] else set()
    return names | ({"net.outer"} if adam else set())


def names_of(tree, prefix=""):
    own = {prefix + key for key in tree}
    below = (names_of(v, f"{prefix}{k}.") for k, v in tree.items() if isinstance(v, dict))
    return own.union(*below)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1))
def test_over_10_000_mutations_exactly_the_places_exist_whose_conditions_hold(seed, probability):
    rng = random.Random(seed)
    hparams = SPACE.sample(rng)
    for _ in range(500):  # times 20 examples
        assert names_of(hparams) == wanted_names(hparams)
        assert SPACE.contains(hparams) and SPACE.clip(hparams) == hparams
        hparams = SPACE.perturb(hparams, rng, resample_probability=probability)


def test_every_branch_is_met():
    rng, met = random.Random(0), set()
    for _ in range(300):
        met |= names_of(SPACE.sample(rng))
    assert met == SPACE.names()


def test_missing_and_foreign_places_are_not_contained():
    space = Space({"kind": Choice(["a", "b"]), "x": When("kind", "a", Uniform(0, 1))})
    assert space.contains({"kind": "a", "x": 0.5}) and space.contains({"kind": "b"})
    assert not space.contains({"kind": "a"}) and not space.contains({"kind": "b", "x": 0.5})
    assert not space.contains({"kind": "a", "x": 0.5, "y": 1}) and not space.contains(None)


def test_a_parent_that_flips_makes_its_children_vanish_or_appear_the_same_with_the_same_seed():
    space = Space({"kind": Choice(["a", "b"]), "x": When("kind", "a", Uniform(0, 1))})
    appeared = [space.perturb({"kind": "b"}, random.Random(7), (1, 1), 0) for _ in range(2)]
    assert appeared[0] == appeared[1] and appeared[0]["kind"] == "a" and 0 < appeared[0]["x"] < 1
    assert space.perturb({"kind": "a", "x": 0.5}, random.Random(7), (1, 1), 0) == {"kind": "b"}


def test_what_a_conditional_dict_holds_vanishes_with_it_and_unknown_keys_beside_it_stay():
    space = Space({"on": Boolean(), "more": When("on", True, {"x": Uniform(0, 1)})})
    changed = space.perturb(
        {"on": True, "more": {"x": 0.1, "mine": 1}, "tag": 2}, random.Random(0), (1, 1), 0
    )
    assert changed == {"on": False, "tag": 2}


def test_a_space_without_conditions_draws_what_it_always_drew():
    space = Space({"b": {"y": Uniform(0, 1)}, "a": Choice([1, 2, 3]), "c": Uniform(0, 1)})
    rng = random.Random(5)
    expected = {"a": Choice([1, 2, 3]).sample(rng), "y": rng.uniform(0, 1), "c": rng.uniform(0, 1)}
    drawn = space.sample(random.Random(5))
    assert drawn == {"b": {"y": expected["y"]}, "a": expected["a"], "c": expected["c"]}
    assert list(drawn) == ["b", "a", "c"]


def test_hparams_keep_the_order_in_which_they_were_declared():
    space = Space({"x": When("kind", "a", Uniform(0, 1)), "kind": Choice(["a"]), "b": Boolean()})
    assert list(space.sample(random.Random(0))) == ["x", "kind", "b"]


def test_the_data_form_leads_back_to_the_same_space():
    data = json.loads(json.dumps(SPACE.to_data()))
    again = Space.from_data(data)
    assert again == SPACE and again.to_data() == SPACE.to_data()
    assert again.sample(random.Random(3)) == SPACE.sample(random.Random(3))
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE
    assert data["momentum"]["$when"] == "optimizer" and data["momentum"]["values"] == ["sgd"]


def test_a_parent_is_looked_for_beside_the_condition_first():
    inner = {"kind": Choice(["a", "b"]), "x": When("kind", "b", Uniform(0, 1))}
    space = Space({"kind": Choice(["a"]), "net": inner})
    drawn = [space.sample(random.Random(seed))["net"] for seed in range(20)]
    assert all(("x" in net) == (net["kind"] == "b") for net in drawn)
    assert {net["kind"] for net in drawn} == {"a", "b"}


def test_values_are_compared_as_their_parent_holds_them():
    space = Space(
        {
            "grid": Quantized(0.0, 2.0, 1.0),
            "odd": Choice([1, True, [1, 2]]),
            "one": When("grid", 1, Boolean()),
            "int": When("odd", 1, Boolean()),
            "list": When("odd", [[1, 2]], Boolean()),
        }
    )
    for seed in range(40):
        h = space.sample(random.Random(seed))
        assert ("one" in h) == (h["grid"] == 1.0)
        assert ("int" in h) == (type(h["odd"]) is int)
        assert ("list" in h) == (h["odd"] == [1, 2])


def test_a_constant_may_decide_so_that_a_choice_can_be_fixed():
    space = Space({**SPACE.mapping, "optimizer": "adam"})
    h = space.sample(random.Random(0))
    assert "momentum" not in h and "betas" in h and space.contains(h)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"x": When("kind", "a", Uniform(0, 1))}, "does not have"),
        ({"k": Choice(["a"]), "x": When("k", "b", Uniform(0, 1))}, "'b', which Choice"),
        ({"k": Choice(["a"]), "x": When("k", ["a", "b"], Uniform(0, 1))}, "'b', which Choice"),
        ({"k": Integer(1, 3), "x": When("k", 4, Uniform(0, 1))}, "4, which Integer"),
        ({"k": Uniform(0, 1), "x": When("k", 0.5, Uniform(0, 1))}, "single values"),
        ({"k": {"a": Boolean()}, "x": When("k", True, Uniform(0, 1))}, "is a dict"),
        ({"x": When("x", True, Boolean())}, "in a circle: x -> x"),
        (
            {"x": When("y", True, Boolean()), "y": When("x", True, Boolean())},
            "in a circle: x -> y -> x",
        ),
        ({"x": When("x.y", True, {"y": Boolean()})}, "in a circle"),
        (
            {"k": Choice(["a", "b"]), "x": When("k", "a", When("k", "b", Boolean()))},
            "'x' can never exist",
        ),
        (
            {
                "k": Choice(["a", "b"]),
                "x": When("k", "a", Boolean()),
                "y": When("x", True, When("k", "b", Boolean())),
            },
            "'y' can never exist",
        ),
        ({"k": Choice(["a"]), "x": When("k", "a", {"$y": Boolean()})}, "Space.x: got the key"),
        ({"k": Choice(["a"]), "x": When("k", "a", object())}, "Space.x: got object"),
        ({"k": "a", "x": When("k", "a", 3)}, "without a domain"),
    ],
)
def test_conditions_that_cannot_be_are_refused_when_the_space_is_made(mapping, message):
    with pytest.raises(InvalidSetting, match=message):
        Space(mapping)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: When("", "a", Boolean()), "When.parent"),
        (lambda: When(3, "a", Boolean()), "When.parent"),
        (lambda: When("k", [], Boolean()), "got none"),
        (lambda: When("k", object(), Boolean()), "values"),
        (lambda: Space.from_data({"k": {"$when": "a"}}), "a condition with"),
    ],
)
def test_a_condition_of_wrong_parts_is_refused(make, message):
    with pytest.raises(InvalidSetting, match=message):
        make()


def test_a_set_of_values_has_one_order_and_parts_can_be_replaced():
    conditions = [When("k", {"a", "b", "c", "d"}, Boolean()), When("k", list("dcba"), Boolean())]
    assert conditions[0].values == ("a", "b", "c", "d")
    assert dataclasses.replace(conditions[1], values="a").values == ("a",)


def test_without_random_numbers_a_missing_conditional_value_is_an_error():
    with pytest.raises(InvalidSetting, match=r"hparams.momentum: missing in .* Uniform"):
        h = {k: v for k, v in SPACE.sample(random.Random(0)).items() if k == "net"}
        SPACE.clip({**h, "optimizer": "sgd", "lr": 0.1})
