"""What a toy problem is: training of a few numbers, in plain Python, so that it takes no time."""

import random
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from fspop.space import Space


class Trained(NamedTuple):
    """What some steps of training led to.

    `params` are plain data, all that a checkpoint has to hold. `value` is the score to report, and
    `curve` the score at each step, oldest first.
    """

    params: Any
    value: float
    curve: list[float]


class Problem(ABC):
    """A published toy problem. All of them are maximised.

    `round_steps` are the steps between reports, after which strategies decide; `total_steps` where
    a member finishes. `solved`: the score above which it is solved, where the result is how soon
    that is; None where the result is the score at the end.

    Training is a function of what it is given, and training in one go or in several gives the same,
    so that a problem may be trained in memory and by processes that are killed on the way.
    """

    members: ClassVar[int]
    round_steps: ClassVar[int]
    total_steps: ClassVar[int]
    space: ClassVar[Space]
    solved: ClassVar[float | None] = None

    def first_hparams(self, member: int, rng: random.Random) -> Any:
        """What member number `member` begins with."""
        return self.space.sample(rng)

    @abstractmethod
    def begin(self, member: int) -> Any:
        """The params a member begins with."""

    @abstractmethod
    def train(self, params: Any, hparams: Any, n_steps: int, seed: int) -> Trained:
        """`n_steps` of training; `params` are not modified.

        `seed` belongs to the generation: noise derives from it and from how far `params` are. No
        steps give the score of `params` as they are, and no curve.
        """

    def metrics(self, done: Trained) -> dict[str, float]:
        """Further metrics to report; here none."""
        return {}
