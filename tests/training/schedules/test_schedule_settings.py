"""Bad settings get one line that names the setting and the value."""

import pytest

from fspop.errors import InvalidSetting
from fspop.training.schedules import SCHEDULES, EpochSet, Step, TorchSchedule, make_schedule

BAD = [
    ("Step", {"lr_decay": 0}, r"Step\.lr_decay: got 0,"),
    ("Step", {"lr_decay_every": 0}, r"Step\.lr_decay_every: got 0,"),
    ("Step", {"lr_min": 2.0}, r"Step\.lr_min: got 2\.0.*at most 1"),
    ("LinearDecay", {"num_iters": 1.5}, r"LinearDecay\.num_iters: got 1\.5"),
    ("LogDecay", {"lr_min": 0}, r"LogDecay\.lr_min: got 0,.*above 0"),
    ("ExponentialDecay", {"k": -1}, r"ExponentialDecay\.k: got -1"),
    ("WarmRestart", {"stepsize": True}, r"WarmRestart\.stepsize: got True"),
    ("CosineOneCycle", {"warmup": 1}, r"CosineOneCycle\.warmup: got 1,"),
    ("Triangular", {"lr_max": float("nan")}, r"Triangular\.lr_max: got nan"),
    ("Triangular", {"start_iter": -1}, r"Triangular\.start_iter: got -1"),
    ("TriangularExp", {"k": "x"}, r"TriangularExp\.k: got 'x'"),
    ("Triangular2Exp", {"k": None}, r"Triangular2Exp\.k: got None"),
    ("DecayWhenAcc", {"acc_thresh": 1}, r"DecayWhenAcc\.acc_thresh: got 1,"),
    ("TriangularDecayWhenAcc", {"stepsize": 0}, r"TriangularDecayWhenAcc\.stepsize: got 0"),
    ("DecayWhenEpoch", {"num_epochs": 0}, r"DecayWhenEpoch\.num_epochs: got 0"),
    ("DecayToEpoch", {"final": 1.0}, r"DecayToEpoch\.final: got 1\.0"),
    ("EpochSet", {"lr_value": 3}, r"EpochSet\.lr_value: got 3"),
    ("EpochSet", {"values": {0: 0.0}}, r"EpochSet\.values: got \{0: 0\.0\}.*above 0"),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_a_setting_that_cannot_work_is_named_with_its_value(name, settings, message):
    with pytest.raises(InvalidSetting, match=message):
        make_schedule(name, **settings)


@pytest.mark.parametrize("values", [[0.1, 0.2], {1: 0.1}, {0: 0.1, "5": 0.5}])
def test_epoch_sets_three_value_errors(values):
    with pytest.raises(ValueError, match=r"EpochSet\.values: got"):
        EpochSet(values)


def test_a_misspelt_name_or_setting_gets_the_nearest_one():
    with pytest.raises(InvalidSetting, match="'triangle2'; did you mean 'Triangular2'"):
        make_schedule("triangle2")
    with pytest.raises(InvalidSetting, match=r"Step has no setting 'lr_decays'; .*'lr_decay'"):
        make_schedule("Step", lr_decays=1)
    with pytest.raises(InvalidSetting, match=r"'zzz'; there are Step, LinearDecay"):
        make_schedule("zzz")


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "TorchSchedule"])
def test_every_schedule_works_as_it_comes_and_from_its_own_settings(name):
    schedule = make_schedule(name)
    again = make_schedule(name, **schedule.settings())
    assert schedule.value(17, 3) == again.value(17, 3) > 0


@pytest.mark.parametrize("place", [-1, 0.5, None])
def test_places_are_whole_numbers_from_zero(place):
    with pytest.raises(InvalidSetting, match=r"Step\.value\(iteration\): got"):
        Step().value(place)


def test_a_base_that_is_no_rate_is_refused():
    with pytest.raises(InvalidSetting, match=r"Step\.rebase\(peak\): got -0\.1"):
        Step().rebase(-0.1)


def test_the_state_of_another_schedule_is_refused():
    with pytest.raises(InvalidSetting, match=r"EpochSet\.load_state_dict: got the state of 'Step'"):
        EpochSet({0: 0.1}).load_state_dict(Step().state_dict())


def test_a_factory_without_a_scheduler_is_refused():
    with pytest.raises(InvalidSetting, match=r"TorchSchedule\.factory: got None"):
        TorchSchedule(lambda optimizer: None)
