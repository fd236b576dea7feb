import math

import pytest

from fspop.controller import PopulationController
from fspop.errors import InvalidSetting
from fspop.mutators import FIRE
from fspop.mutators.fire_memory import MAX_POINTS
from fspop.records import Point
from tests.mutators.driver import Population


def plus_one(hparams):
    return hparams + 1


def population(sizes=(2, 2, 1), mode="max", **settings):
    mutator = FIRE(10, sizes, explore=plus_one, **settings)
    mutator.check(sum(sizes), None)
    return Population(mutator, [100 * i for i in range(sum(sizes))], mode)


def round_of(p, step, curves):
    """Each member reports the curve of its last ten steps."""
    before = len(p.events)
    for member, curve in enumerate(curves):
        p.report(member, step, curve[-1], params=f"{member}@{step}", metrics={"curve": curve})
    return p.events[before:]


def rising(begin, slope=0.1):
    return [begin + slope * i for i in range(10)]


FIRST = [rising(5), rising(4), rising(1), rising(2), rising(0)]


def test_an_evaluator_takes_the_weights_of_p2_and_the_hparams_of_the_best():
    p = population()
    born = round_of(p, 10, FIRST)
    assert [(b.member, b.origin.generation, b.hparams) for b in born] == [
        (1, "m000.g0000", 1),  # P1: the worst copies the best
        (4, "m002.g0000", 0),  # the evaluator: weights of member 2, hparams of member 0
    ]
    assert p.state.mutator["evaluations"] == {"4": {"parent": 2, "child": 0, "begun": 10}}


def second_round(p, evaluator):
    return round_of(p, 20, [rising(6), rising(5), rising(1), rising(2), evaluator])


def test_a_child_takes_the_weights_of_an_evaluator_that_is_above_it_and_keeps_its_hparams():
    p = population()
    round_of(p, 10, FIRST)
    born = {b.member: b for b in second_round(p, rising(4.9, 0.3))}
    assert born[0].origin.point == Point("m004.g0001", 20) and born[0].hparams == 0
    assert "evaluator 4 is above it (p = 0.002)" in born[0].reason
    assert p.params(0) == "4@20"
    assert p.state.mutator["curves"]["0"] == {"20": ",".join(map(repr, rising(4.9, 0.3)))}
    assert born[4].origin.generation == "m003.g0000"  # the next one that waits


def test_an_evaluator_without_overlap_goes_on_until_it_is_too_old():
    p = population(max_eval_steps=20)
    round_of(p, 10, FIRST)
    assert 4 not in {b.member for b in second_round(p, rising(0.0, 0.01))}
    born = round_of(p, 30, [rising(7), rising(6), rising(1), rising(2), rising(0.2, 0.01)])
    assert {b.member: b.origin.generation for b in born}[4] == "m003.g0000"


def test_p2_is_selected_by_the_curves_of_its_evaluators():
    p = population((2, 2, 2), fraction=0.5)
    round_of(p, 10, [rising(5), rising(4), rising(9), rising(9), rising(0), rising(0)])
    born = round_of(p, 20, [rising(6), rising(5), rising(9), rising(9), rising(1, 0.3), rising(1)])
    (replaced,) = [b for b in born if b.member == 3]
    assert replaced.origin.generation == "m002.g0000" and replaced.hparams == 201


def test_a_report_without_a_curve_is_one_point():
    p = population()
    p.report(0, 10, 0.5)
    p.report(1, 10, 0.5, metrics={"curve": "[0.1, 0.2]"})
    assert p.state.mutator["curves"] == {"0": {"10": "0.5"}, "1": {"10": "0.5"}}


def test_curves_stay_bounded():
    p = population()
    for step in range(1, 9):
        p.report(0, step, 1.0, metrics={"curve": [0.25] * 1000})
    pieces = p.state.mutator["curves"]["0"]
    assert sum(text.count(",") + 1 for text in pieces.values()) <= MAX_POINTS
    assert max(map(int, pieces)) == 8


def test_lower_is_better_works_too():
    p, q = population(), population(mode="min")
    for step in (10, 20, 30):
        round_of(p, step, FIRST)
        round_of(q, step, [[-v for v in curve] for curve in FIRST])
    assert [b.origin for b in q.events] == [b.origin for b in p.events]


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": 0},
        {"sizes": (8, 8)},
        {"sizes": (1, 8, 8)},
        {"fraction": 0.7},
        {"start": 0},
        {"max_eval_steps": 1.5},
        {"smoothing": 0},
        {"patience": -1},
        {"explore": 3},
    ],
)
def test_bad_settings_name_the_field(settings):
    with pytest.raises(InvalidSetting, match=rf"FIRE\.{next(iter(settings))}: got"):
        FIRE(**{"interval": 10, **settings})


def test_the_sizes_must_add_up():
    with pytest.raises(InvalidSetting, match="together 22, for a population of 20"):
        FIRE(10, explore=plus_one).check(20, None)


def test_curves_come_through_the_real_controller_and_stay_out_of_the_state():
    mutator = FIRE(10, (2, 2, 1), explore=plus_one)
    controller = PopulationController([0] * 5, mutator)
    assigned = controller.maybe_get_worker_data(0, None, 0)
    curve = [0.5, 0.25, math.nan, 2]
    controller.set_eval(0, assigned.generation_id, 10, "p", 2.0, {"curve": curve, "epoch": 3})
    state = controller.state
    assert state.mutator["curves"] == {"0": {"10": "0.5,0.25,2.0"}}
    assert state.members[0].generation.evaluations[0].metrics == {"epoch": 3.0}
