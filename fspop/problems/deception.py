"""The plain and the deceptive problem: whether a strategy is greedy."""

import random
from typing import Any, ClassVar

from fspop.problems.base import Problem, Trained
from fspop.space import Space, Uniform

RATE = 0.002


class Plain(Problem):
    """Maximise Q = 1.2 - theta^2 with one hparam h; the smaller h, the faster, at any time.

    From section 5.2 of the paper at openreview.net/forum?id=3qmnxysNbi (TMLR 2025). The scores are
    those before each step, as published.
    """

    members: ClassVar = 22
    round_steps: ClassVar = 20
    total_steps: ClassVar = 1000
    space: ClassVar = Space({"h": Uniform(1e-4, 1.1)})

    def first_hparams(self, member: int, rng: random.Random) -> Any:
        """Around 1."""
        return {"h": rng.uniform(0.9, 1.1)}

    def begin(self, member: int) -> Any:
        """Theta, the h of all rounds so far, and how many steps of the last one are done."""
        return {"theta": 0.9, "past": [], "done": self.round_steps}

    def train(self, params: Any, hparams: Any, n_steps: int, seed: int) -> Trained:
        """Shrinks theta at a speed that depends on h, and on its past where that counts."""
        theta, past, done = params["theta"], list(params["past"]), params["done"]
        curve: list[float] = []
        while len(curve) < n_steps:
            if done == self.round_steps:
                past, done = [*past, hparams["h"]], 0
            stretch = min(self.round_steps - done, n_steps - len(curve))
            speed = RATE * self.pull(hparams["h"], past)
            for _ in range(stretch):
                curve.append(1.2 - theta * theta)
                theta -= speed * theta
            done += stretch
        value = curve[-1] if curve else 1.2 - theta * theta
        return Trained({"theta": theta, "past": past, "done": done}, value, curve)

    def pull(self, h: float, past: list[float]) -> float:
        """How fast theta shrinks at `h`; `past` has one h for each round, this one included."""
        return 2 - h


class Deceptive(Plain):
    """The same, but every deviation from a slow descent of h from 1 to 0 costs for ever.

    So the greedy way, a small h at once, ends far below the best, 1.1979, and below random search.
    """

    def pull(self, h: float, past: list[float]) -> float:
        """The penalty counts one h for each round."""
        steps = self.round_steps / self.total_steps
        penalty = 0.2 * sum(abs(one - (1 - i * steps)) for i, one in enumerate(past))
        return max(2 - h - penalty, 0.0)
