import dataclasses

import pytest

from fspop import Experiment, LogUniform, Uniform
from fspop.errors import InvalidSetting, UsageError
from fspop.experiment_code import apply_overrides, parse_override
from fspop.mutators import Mutator, TruncationSelection


def toy(**settings):
    given = {
        "task": object,
        "members": 4,
        "total_steps": 100,
        "mutator": TruncationSelection(interval=10),
        "space": {"lr": LogUniform(1e-4, 1e-1), "net": {"width": Uniform(1.0, 2.0)}, "k": 3},
    }
    return Experiment(**{**given, **settings})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=3", 3),
        ("seed=1e-3", 1e-3),
        ("seed=abc", "abc"),
        ('seed="3"', "3"),
        ("seed=[1, 2]", [1, 2]),
        ("seed=null", None),
        ("seed=a=b", "a=b"),
        ("seed=", ""),
    ],
)
def test_a_value_is_json_or_else_a_string(text, value):
    assert parse_override(text) == ("seed", value)


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=3", ".a=3"])
def test_an_override_without_a_key_is_refused(text):
    with pytest.raises(UsageError, match="key=value"):
        parse_override(text)


def test_settings_change_wherever_they_are():
    changed = apply_overrides(
        toy(),
        {
            "seed": 3,
            "mutator.interval": 200,
            "mutator.explore.factors": [0.5, 2.0],
            "space.lr.low": 1e-3,
            "space.net.width": 7,
        },
    )
    assert (changed.seed, changed.mutator.interval, changed.members) == (3, 200, 4)
    assert changed.mutator.explore.factors == (0.5, 2.0)
    assert changed.space.mapping["lr"] == LogUniform(1e-3, 1e-1)
    assert changed.space.mapping["net"] == {"width": 7}


def test_nothing_to_change_gives_the_same_experiment():
    experiment = toy()
    assert apply_overrides(experiment, {}) is experiment
    apply_overrides(experiment, {"seed": 5})
    assert experiment.seed == 0


def test_settings_are_checked_together():
    both = {"members": 1, "initial_population": [{"x": 1}]}
    experiment = toy(space=None, initial_population=[{"x": 1}] * 4, mutator=Still())
    assert apply_overrides(experiment, both).members == 1
    with pytest.raises(InvalidSetting, match="got 4 hparams for 1 members"):
        apply_overrides(experiment, {"members": 1})


@dataclasses.dataclass(frozen=True)
class Still(Mutator):
    pace: int = 1

    def __post_init__(self):
        self.pace + 1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("mutator.intervall", "TruncationSelection has no setting 'intervall'; did you mean"),
        ("sed", "Experiment has no setting 'sed'; did you mean 'seed'"),
        ("space.lrr", "did you mean 'lr'"),
        ("space.lr.hihg", "LogUniform has no setting 'hihg'; did you mean 'high'"),
        ("seed.x", "seed is 0, which has no settings of its own"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(key, message):
    with pytest.raises(UsageError, match=f"--set {key}: .*") as caught:
        apply_overrides(toy(), {key: 1})
    assert message in caught.value.message


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(InvalidSetting, match=r"members: got 0"):
        apply_overrides(toy(), {"members": 0})
    with pytest.raises(InvalidSetting, match="low must be below high"):
        apply_overrides(toy(), {"space.lr.low": 5})


def test_a_whole_and_its_part_cannot_both_be_set():
    with pytest.raises(UsageError, match="as a whole and in part"):
        apply_overrides(toy(), {"space.lr": 1, "space.lr.low": 2})


def test_what_a_users_own_check_raises_names_the_setting():
    with pytest.raises(UsageError, match=r"--set mutator\.pace='x': TypeError"):
        apply_overrides(toy(mutator=Still()), {"mutator.pace": "x"})
