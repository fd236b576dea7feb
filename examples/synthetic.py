"""Two numbers and no data: a population finds a hyperparameter in seconds.

A member's only weight `a` falls down the loss (b + a - 2)^2 + (a - 1)^2 + (b - 1)^2 for its own
hyperparameter `b`, but is scored by the same loss at b = 2. So the population has to raise b from 1
to 2 by selection alone; the best score is then 1.5, at a = 0.5. Every step is disturbed by a little
noise from the global random state, which makes lost or repeated steps visible in the last digit.
After "synthetic" in the population library of learned_optimization.

    fspop run examples/synthetic.py --dir /tmp/synthetic --workers 2

FSPOP_SYNTHETIC_STEPS: how many steps each member trains (800). FSPOP_SYNTHETIC_STEP_S: how many
seconds a worker sleeps in each of them (0), which changes no result.
"""

import os
import random
import time

from fspop import Experiment
from fspop.mutators import WinnerTakeAllGenetic

STEPS = int(os.environ.get("FSPOP_SYNTHETIC_STEPS", "800"))
STEP_S = float(os.environ.get("FSPOP_SYNTHETIC_STEP_S", "0"))


def loss(a, b):
    return (b + a - 2) ** 2 + (a - 1) ** 2 + (b - 1) ** 2


class SyntheticTask:
    """The five verbs of a task without any framework."""

    def setup(self, context):
        self.a = 0.0
        self.apply_hparams(context.hparams)

    def apply_hparams(self, hparams):
        self.b = hparams["b"]

    def effective_hparams(self):
        return {"b": self.b}

    def train(self, n_steps):
        for _ in range(n_steps):
            slope = 2 * (self.b + self.a - 2) + 2 * (self.a - 1)
            self.a -= 0.01 * (slope + random.gauss(0, 0.01))
            time.sleep(STEP_S)

    def evaluate(self):
        return loss(self.a, b=2)

    def state_dict(self):
        return {"a": self.a}

    def load_state_dict(self, state):
        self.a = state["a"]


def mutate(hparams, rng):
    """`rng` depends on the run's seed, the member and its generation, never on the process."""
    return {"b": hparams["b"] + rng.gauss(0, 0.1)}


experiment = Experiment(
    task=SyntheticTask,
    members=8,
    mode="min",
    initial_population=[{"b": 1.0}] * 8,
    mutator=WinnerTakeAllGenetic(mutate_fn=mutate, steps_per_exploit=20),
    total_steps=STEPS,
    report_every=20,
)
