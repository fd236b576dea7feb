"""The triangle wave: the best learning rate rises and falls again as training goes on."""

import random
from typing import Any, ClassVar

from fspop.problems.base import Problem, Trained
from fspop.seeds import derive_seed
from fspop.space import Space, Uniform

SOLVED = 200.0


class TriangleWave(Problem):
    """An accuracy that grows fastest at a learning rate which depends on the accuracy itself.

    The best rate rises from 0.001 to 0.01 at 100 and falls again; rates more than three times off
    gain nothing, and too high ones lose. Solved above 200. No fixed rate solves it quickly.
    """

    members: ClassVar = 8
    round_steps: ClassVar = 5
    total_steps: ClassVar = 1000
    space: ClassVar = Space({"lr": Uniform(1e-4, 0.02)})
    solved: ClassVar = SOLVED

    def begin(self, member: int) -> Any:
        """No accuracy, after no steps."""
        return {"accuracy": 0.0, "steps": 0}

    def train(self, params: Any, hparams: Any, n_steps: int, seed: int) -> Trained:
        """Steps of luck, scaled by how good the rate is."""
        accuracy, steps, curve = params["accuracy"], params["steps"], []
        for step in range(steps, steps + n_steps):
            luck = random.Random(derive_seed(seed, step))
            accuracy = _step(accuracy, hparams["lr"], luck)
            curve.append(accuracy)
        return Trained({"accuracy": accuracy, "steps": steps + n_steps}, accuracy, curve)


def _step(accuracy: float, rate: float, luck: random.Random) -> float:
    rising = 0.01 * accuracy / 100
    best = rising if accuracy < 100 else 0.01 - 0.01 * (accuracy - 100) / 100
    best = min(max(best, 0.001), 0.01)
    off = max(rate, best) / min(rate, best)
    if off < 3:
        accuracy += luck.random() / off
    elif rate > best:
        accuracy -= (off - 3) * luck.random()
    return max(0.0, accuracy + 2 * luck.gauss(0, 1))
