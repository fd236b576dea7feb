import json
from types import SimpleNamespace

import pytest

from fspop.problems import PROBLEMS
from fspop.simulation import toy_experiment
from fspop.simulation.toy import Toy

each = pytest.mark.parametrize("name", PROBLEMS)


def middle(problem):
    return {name: (d.low + d.high) / 3 for name, d in problem.space.mapping.items()}


@each
def test_training_in_one_go_or_in_several_gives_the_same(name):
    problem = PROBLEMS[name]()
    hparams, whole = middle(problem), problem.begin(0)
    whole = problem.train(whole, hparams, 47, seed=5)
    params, curve = problem.begin(0), []
    for n_steps in (1, 30, 0, 16):
        params, value, part = problem.train(params, hparams, n_steps, seed=5)
        curve += part
    assert (params, value, curve) == whole


@each
def test_a_task_trains_like_the_problem_and_goes_on_from_its_checkpoint(name):
    problem = PROBLEMS[name]()
    every, hparams = problem.round_steps, middle(problem)
    context = SimpleNamespace(member=0, seed=5, step=0, hparams=hparams)
    task = Toy(problem)()
    task.setup(context)
    task.train(every + 3)
    again = Toy(problem)()
    again.setup(SimpleNamespace(**{**vars(context), "step": every + 3}))
    again.load_state_dict(json.loads(json.dumps(task.state_dict())))
    for one in (task, again):
        one.train(every - 3)
    whole = problem.train(problem.begin(0), hparams, 2 * every, seed=5)
    expected = {"value": whole.value, "curve": whole.curve[every:], "epoch": 2.0}
    assert again.evaluate() == task.evaluate() == expected


@each
def test_before_the_first_step_there_is_a_score(name):
    problem = PROBLEMS[name]()
    params, value, curve = problem.train(problem.begin(0), middle(problem), 0, seed=0)
    assert params == problem.begin(0) and value < 1.2 and curve == []


def test_another_population_and_seed_begin_with_other_hparams():
    from fspop.experiment_code import apply_overrides
    from fspop.mutators import RandomSearch

    experiment = toy_experiment(PROBLEMS["deceptive"](), RandomSearch())
    changed = apply_overrides(experiment, {"members": 30, "seed": 1})
    assert len(changed.first_hparams()) == 30
    assert changed.first_hparams()[0] != experiment.first_hparams()[0]
