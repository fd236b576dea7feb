"""Tasks and runs small enough for tests of the worker."""

import random

from fspop.controller import PopulationController, new_manifest
from fspop.controller.liveness import Liveness, this_process
from fspop.controller.workforce import Workforce
from fspop.experiment import Experiment
from fspop.mutators import WinnerTakeAllGenetic
from fspop.paths import RunPaths
from fspop.space import Uniform


class Walk:
    """A random walk whose drift is its hparam."""

    def setup(self, context):
        self.context = context
        self.drift = context.hparams["drift"]
        self.x = random.random()

    def train(self, n_steps):
        for _ in range(n_steps):
            self.x += self.drift + random.gauss(0, 0.1)

    def evaluate(self):
        return self.x

    def state_dict(self):
        return {"x": self.x}

    def load_state_dict(self, state):
        self.x = state["x"]


class Stubborn(Walk):
    """Shows another drift than it was given, as an optimizer restored over its hparams does."""

    def effective_hparams(self):
        return {"drift": 0.5}


def make_run(root, task=Walk, members=2, **settings):
    """A run in `root` and its experiment."""
    experiment = Experiment(
        task=task,
        members=members,
        mode="max",
        space={"drift": Uniform(0.0, 1.0)},
        mutator=WinnerTakeAllGenetic(steps_per_exploit=10),
        total_steps=40,
        report_every=5,
        **settings,
    )
    manifest = new_manifest(
        experiment.first_hparams(),
        experiment.mutator,
        mode=experiment.mode,
        seed=experiment.seed,
        space=experiment.domains,
        total_steps=experiment.total_steps,
        report_every=experiment.report_every,
        max_attempts=experiment.max_attempts,
        max_deaths=experiment.max_deaths,
        lease_timeout_s=experiment.lease_timeout_s,
    )
    PopulationController.create(root, manifest, experiment.mutator, experiment.domains)
    return experiment, manifest


def make_workforce(root, experiment, worker="0"):
    """A joined worker of that run, without a daemon."""
    controller = PopulationController.open(root, experiment.mutator, experiment.domains)
    liveness = Liveness(RunPaths(root), 120.0, 900.0)
    workforce = Workforce(controller, this_process(worker), liveness)
    workforce.join()
    return workforce
