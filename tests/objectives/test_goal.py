import pytest

from fspop.errors import InvalidSetting
from fspop.objectives import Goal, goal_of
from fspop.records import Evaluation, Objectives, State

TWO = {"accuracy": "max", "latency_ms": "min"}


def seen(value=0.9, **metrics):
    return Evaluation("m000.g0001", 1, value, metrics)


def test_a_plain_goal_takes_the_value_as_it_is():
    assert Goal("max").score(seen(0.5)) == 0.5 and Goal("max").is_plain
    assert Goal("max", {"accuracy": "max"}).is_plain and Goal("max").needed == []


def test_a_vector_holds_the_violation_and_the_costs():
    goal = Goal("max", TWO, ["latency_ms <= 20", "accuracy >= 0.5"])
    assert goal.score(seen(0.9, accuracy=0.9, latency_ms=10)) == [0.0, -0.9, 10.0]
    assert goal.score(seen(0.9, accuracy=0.9, latency_ms=30)) == [0.5, -0.9, 30.0]
    assert goal.score(seen(0.4, accuracy=0.4, latency_ms=30))[0] == pytest.approx(0.7)
    assert goal.needed == ["accuracy", "latency_ms"]


def test_a_constraint_may_be_on_a_metric_that_is_no_objective_and_on_one_value():
    goal = Goal("max", constraints=["memory_gb<=0"])
    assert goal.score(seen(0.9, memory_gb=-1)) == [0.0, -0.9]
    assert goal.score(seen(0.9, memory_gb=3)) == [3.0, -0.9]
    assert goal.shown([3.0, -0.9]) == "value 0.9, infeasible by 3"


def test_what_lacks_a_metric_has_no_score():
    goal = Goal("max", TWO)
    assert goal.score(seen(None)) is None and goal.score(seen(accuracy=0.9)) is None
    assert goal.score(seen(accuracy=0.9, latency_ms="fast")) is None


def test_a_state_says_its_goal():
    state = State(mode="max", objectives=Objectives(TWO, ["accuracy >= 0"], "hypervolume"))
    assert goal_of(state) == Goal("max", TWO, ["accuracy >= 0"], "hypervolume")
    assert goal_of(State(mode="min")) == Goal("min")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "best"}, 'must be "min" or "max"'),
        ({"objectives": {"a": "max", "b": "up"}}, 'must be "min" or "max"'),
        ({"objectives": ["a", "b"]}, "directions by metric"),
        ({"objectives": {str(i): "min" for i in range(9)}}, "at most 8"),
        ({"constraints": "a <= 1"}, "give a list"),
        ({"constraints": ["a < 1"]}, "a metric, <= or >=, and a number"),
        ({"constraints": ["a <= b"]}, "a metric, <= or >=, and a number"),
        ({"constraints": ["a <= nan"]}, "a metric, <= or >=, and a number"),
        ({"constraints": ["<= 3"]}, "a metric, <= or >=, and a number"),
        ({"constraints": [3]}, "a metric, <= or >=, and a number"),
        ({"ranking": "weights"}, "'crowding' or 'hypervolume'"),
        ({"ranking": "hypervolume", "objectives": {c: "min" for c in "abcde"}}, "'crowding'"),
        ({"reference": {"a": 1.0}}, "one for each of the objectives"),
        ({"objectives": TWO, "reference": {"accuracy": 1.0}}, "one for each of the objectives"),
        ({"reference": {"a": "b"}}, "a number by metric"),
    ],
)
def test_goals_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InvalidSetting, match=message):
        Goal(**settings)
