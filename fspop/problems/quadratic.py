"""Figure 2 of the paper on population based training: two members that know half of the truth."""

import random
from typing import Any, ClassVar

from fspop.problems.base import Problem, Trained
from fspop.space import Space, Uniform

LEARNING_RATE = 0.01


class Quadratic(Problem):
    """Maximise Q = 1.2 - (a^2 + b^2), where training sees 1.2 - (h0 a^2 + h1 b^2) only.

    Jaderberg et al. 2017, arXiv:1711.09846. The members begin with h = (1, 0) and (0, 1), in an
    exact tie at a = b = 0.9; alone, each stays at 0.39. The optimum is 1.2.
    """

    members: ClassVar = 2
    round_steps: ClassVar = 5
    total_steps: ClassVar = 400
    space: ClassVar = Space({"h0": Uniform(0, 1), "h1": Uniform(0, 1)})

    def first_hparams(self, member: int, rng: random.Random) -> Any:
        """(1, 0) for the even members, (0, 1) for the odd ones."""
        return {"h0": 1.0 - member % 2, "h1": float(member % 2)}

    def begin(self, member: int) -> Any:
        """The same for all."""
        return [0.9, 0.9]

    def train(self, params: Any, hparams: Any, n_steps: int, seed: int) -> Trained:
        """Gradient ascent on what training sees."""
        a, b = params
        curve = []
        for _ in range(n_steps):
            a -= 2 * LEARNING_RATE * hparams["h0"] * a
            b -= 2 * LEARNING_RATE * hparams["h1"] * b
            curve.append(1.2 - (a * a + b * b))
        return Trained([a, b], 1.2 - (a * a + b * b), curve)


def nudged(hparams: Any, rng: random.Random) -> Any:
    """The paper's explore rule here: Gaussian noise of 0.1, clipped. Factors never leave 0."""
    return {key: min(max(value + rng.gauss(0, 0.1), 0.0), 1.0) for key, value in hparams.items()}
