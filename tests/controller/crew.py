"""Workers of the two-call protocol, the same code in a thread and in a process:
`python crew.py ROOT MEMBER STEPS`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from fspop import PopulationController
from tests.controller.strategies import CopyBest

HPARAMS = [{"lr": 0.3}, {"lr": 0.2}, {"lr": 0.1}]


def open_controller(root):
    return PopulationController(HPARAMS, CopyBest(10), root, seed=5)


def work(controller, member, steps):
    """Trains a member: a step moves its one weight towards 0, as fast as the learning rate says."""
    given = controller.maybe_get_worker_data(member, None, 0)
    step, weight = given.step, given.params or 1.0
    while step < steps:
        # First of all, also after a restart: is the round over for this member?
        swap = controller.maybe_get_worker_data(member, given.generation_id, step)
        if swap:
            given, step, weight = swap, swap.step, swap.params
        elif step - controller.state.members[member].generation.start_step < 10:
            weight *= 1 - given.hparams["lr"]
            step += 1
            controller.set_eval(member, given.generation_id, step, weight, abs(weight))


if __name__ == "__main__":
    work(open_controller(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
