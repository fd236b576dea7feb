import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fspop import PopulationController
from fspop.training import Context, random_state, save_checkpoint
from tests.examples import driver


@pytest.fixture(autouse=True)
def generators_as_they_were():
    before = random_state.capture()
    yield
    random_state.restore(before)


def in_its_own_process(name, folder, start, stop, every):
    steps = [str(n) for n in (start, stop, every)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.examples.driver", name, str(folder), *steps],
        cwd=driver.ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def bits(task, tmp_path):
    """A digest of everything the next step depends on."""
    state = {"task": task.state_dict(), "random": random_state.capture()}
    return save_checkpoint(Path(tempfile.mkdtemp(dir=tmp_path)) / "bits", state).digest


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("digits", "simple_cnn", "complex_cnn")
]


@pytest.mark.parametrize("name", ["synthetic", *SLOW])
def test_a_restored_member_goes_on_bit_for_bit_as_if_never_stopped(name, tmp_path):
    undisturbed = in_its_own_process(name, tmp_path / "whole", 0, 9, 3)
    folder = tmp_path / "pieces"
    digests = in_its_own_process(name, folder, 0, 3, 3)
    digests |= in_its_own_process(name, folder, 3, 9, 3)
    assert digests == undisturbed and len(set(digests.values())) == 3


@pytest.mark.parametrize("name", ["synthetic", "digits", "simple_cnn", "complex_cnn"])
def test_it_does_not_matter_in_how_many_calls_a_worker_trains(name, tmp_path):
    experiment = driver.load_experiment(name)
    whole, pieces = (driver.begin(experiment, tmp_path) for _ in range(2))
    random_state.seed_all(1)
    whole.train(5)
    random_state.seed_all(1)
    for n_steps in (1, 3, 1):
        pieces.train(n_steps)
    assert bits(whole, tmp_path) == bits(pieces, tmp_path)


def test_evaluating_changes_nothing_that_trains(tmp_path):
    experiment = driver.load_experiment("digits")
    task = driver.begin(experiment, tmp_path)
    task.train(2)
    before = bits(task, tmp_path)
    assert task.evaluate() == task.evaluate()
    assert bits(task, tmp_path) == before


def test_the_digits_are_learned_from_real_scans(tmp_path):
    experiment = driver.load_experiment("digits")
    task = driver.begin(experiment, tmp_path)
    untrained = task.evaluate()["accuracy"]
    task.apply_hparams(
        {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-5, "dropout": 0.2}
    )
    task.train(300)
    assert untrained < 0.4 and task.evaluate()["accuracy"] >= 0.97


def train_synthetic_population(experiment, n_rounds):
    """The two calls of the population library, in lockstep, in one process."""
    random_state.seed_all(0)
    controller = PopulationController(
        experiment.first_hparams(), experiment.mutator, mode=experiment.mode, seed=experiment.seed
    )
    for _ in range(n_rounds):
        for member in range(experiment.members):
            held = controller.maybe_get_worker_data(member, None, 0)
            context = Context(member, held.generation_id, held.hparams, seed=0, step=held.step)
            task = experiment.task()
            task.setup(context)
            if held.params is not None:
                task.load_state_dict(held.params)
            task.train(experiment.report_every)
            step = held.step + experiment.report_every
            controller.set_eval(
                member, held.generation_id, step, task.state_dict(), task.evaluate()
            )
    return controller.state.best


def test_the_synthetic_population_raises_b_to_two_by_selection_alone():
    experiment = driver.load_experiment("synthetic")
    n_rounds = experiment.total_steps // experiment.report_every
    best = train_synthetic_population(experiment, n_rounds)
    assert best.evaluation.value == pytest.approx(1.5, abs=0.01)
    assert best.hparams["b"] == pytest.approx(2.0, abs=0.3)


def test_the_synthetic_example_needs_no_torch_and_takes_its_length_from_the_environment():
    program = """
import sys
from tests.examples import driver
experiment = driver.load_experiment("synthetic")
assert "torch" not in sys.modules
print(experiment.total_steps)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FSPOP_SYNTHETIC_STEPS": "60"},
        cwd=driver.ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.strip() == b"60"
