import math

import pytest

from fspop.controller import PopulationController
from fspop.controller.score import read_score
from fspop.errors import InvalidSetting
from fspop.mutators import TruncationSelection
from fspop.records import Created, encode_json

NEEDED = ["accuracy", "latency_ms"]


@pytest.mark.parametrize(
    ("latency", "diverged"),
    [
        (math.nan, "metric 'latency_ms' is nan"),
        (math.inf, "metric 'latency_ms' is inf"),
        (None, "metric 'latency_ms' is None"),
        ("slow", "metric 'latency_ms' is the text 'slow', not a number"),
    ],
)
def test_an_objective_that_is_not_finite_counts_as_diverged(latency, diverged):
    score = read_score({"accuracy": 0.9, "latency_ms": latency}, "accuracy", NEEDED)
    assert (score.value, score.diverged) == (None, diverged)
    assert score.metrics["accuracy"] == 0.9


def test_an_objective_that_is_missing_counts_as_diverged():
    assert "'latency_ms' is missing" in read_score({"accuracy": 0.9}, "accuracy", NEEDED).diverged
    assert read_score({"accuracy": 0.9, "latency_ms": 3}, "accuracy", NEEDED).value == 0.9


def two_calls(**more):
    return PopulationController(
        [{"b": 1.0}] * 2, TruncationSelection(5, explore=lambda h: h), **more
    )


def test_the_two_calls_take_objectives_in_either_argument():
    controller = two_calls(
        objectives={"accuracy": "max", "latency_ms": "min"}, constraints=["latency_ms <= 20"]
    )
    controller.set_eval(0, "m000.g0001", 5, {"a": 1}, {"accuracy": 0.9, "latency_ms": 30.0})
    controller.set_eval(1, "m001.g0001", 5, {"a": 2}, 0.8, metrics={"latency_ms": 10.0})
    state = controller.state
    assert state.mode == "max" and state.best.evaluation.value == 0.8
    assert [b.evaluation.metrics["latency_ms"] for b in state.front] == [10.0]
    generation = controller.state.members[0].generation.id
    controller.set_eval(0, generation, 9, {"a": 3}, 0.99)
    assert controller.state.best.evaluation.value == 0.8
    assert "'latency_ms' is missing" in controller.state.members[0].generation.reason


def test_constraints_alone_rank_the_value_among_feasible_ones():
    controller = two_calls(mode="max", constraints=["size <= 2"])
    controller.set_eval(0, "m000.g0001", 5, {"a": 1}, 0.9, metrics={"size": 3.0})
    assert controller.state.best.evaluation.value == 0.9  # nothing better so far
    controller.set_eval(1, "m001.g0001", 5, {"a": 2}, 0.1, metrics={"size": 1.0})
    assert controller.state.best.evaluation.value == 0.1


def test_a_run_with_one_value_is_recorded_as_ever():
    assert encode_json(Created(2, "max")) == b'{"op":"created","n_members":2,"mode":"max"}'
    state = two_calls(mode="max").state
    assert state.objectives is None and state.front == []


def test_goals_that_cannot_be_are_refused_at_once():
    with pytest.raises(InvalidSetting, match="constraints"):
        two_calls(constraints=["size < 2"])
