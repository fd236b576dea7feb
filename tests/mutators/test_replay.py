import pytest

from fspop import Experiment, PopulationController, Uniform
from fspop.errors import InvalidSetting
from fspop.mutators import RandomSearch, Replay, TruncationSelection
from fspop.problems import Deceptive
from fspop.simulation import Simulation, final_best, toy_experiment
from tests.mutators.driver import Population

SCHEDULE = {0: {"h": 1.0}, 5: {"h": 0.5}, 20: {"h": 0.1}}


def test_every_member_follows_it_from_step_0():
    p = Population(Replay(SCHEDULE), [Replay(SCHEDULE).first_hparams(None)] * 2, total_steps=30)
    for step in (5, 10, 20, 30):
        for member in (1, 0):
            p.report(member, step, 1.0)
    assert [(b.member, b.origin.step, b.hparams["h"]) for b in p.events] == [
        (1, 5, 0.5),
        (0, 5, 0.5),
        (1, 20, 0.1),
        (0, 20, 0.1),
    ]


def test_a_member_stops_exactly_where_the_schedule_changes():
    p = Population(Replay(SCHEDULE), [{"h": 1.0}], total_steps=30)
    assert p.limits() == [5]
    p.report(0, 5, 1.0)
    assert p.limits() == [20]


def test_the_best_schedule_of_the_deceptive_problem_reaches_its_best():
    schedule = {step: {"h": 1 - step / 1000} for step in range(0, 1000, 20)}
    simulation = Simulation(toy_experiment(Deceptive(), Replay(schedule), members=2))
    simulation.run()
    assert final_best(simulation.state) == pytest.approx(1.1979, abs=1e-4)


def test_an_experiment_needs_neither_space_nor_first_hparams():
    experiment = Experiment(task=object, members=2, mutator=Replay(SCHEDULE), total_steps=30)
    assert experiment.first_hparams() == [{"h": 1.0}] * 2
    controller = PopulationController([{"h": 9.0}], Replay(SCHEDULE))
    assert controller.maybe_get_worker_data(0, None, 0).hparams == {"h": 1.0}


@pytest.mark.parametrize("schedule", [{}, {5: {}}, {-1: {}}, [(0, 1), (0, 2)], {0: {1, 2}}, None])
def test_bad_schedules_are_refused_by_name(schedule):
    with pytest.raises(InvalidSetting, match=r"Replay\.schedule"):
        Replay(schedule)


def start(**settings):
    given = {"task": object, "members": 2, "mutator": RandomSearch(), "total_steps": 30}
    return Experiment(**{**given, **settings})


def test_start_points_stand_beside_a_space_and_may_be_a_function():
    space = {"x": Uniform(0.0, 1.0)}
    assert start(space=space, initial_population=[{"x": 0.5}] * 2).domains is not None
    drawn = start(space=space, initial_population=lambda i, rng: {"x": i * rng.random()})
    assert drawn.first_hparams()[0] == {"x": 0.0} != drawn.first_hparams()[1]
    with pytest.raises(InvalidSetting, match=r"member 0 begins with \{'x': 2.0\}, which is not in"):
        start(space=space, initial_population=[{"x": 2.0}] * 2)
    with pytest.raises(InvalidSetting, match="needs space, initial_population, or both"):
        start(mutator=TruncationSelection(5))
