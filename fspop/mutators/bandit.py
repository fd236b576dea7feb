"""Choosing among categories whose worth changes with time: TV-EXP3."""

import math
import random
from collections.abc import Sequence


def probabilities(n_options: int, plays: Sequence[tuple[int, float]]) -> list[float]:
    """How often each option should be chosen after `plays`: (option, reward), in order.

    Rewards count relative to the best and the worst one.
    Exponential weights that forget (Parker-Holder et al. 2021, arXiv:2106.15883): whatever was good
    long ago can be overtaken, and no option ever dies out.
    """
    n = max(len(plays), 1)
    mixing = min(1.0, math.sqrt(n_options * math.log(n_options * n) / ((math.e - 1) * n)))
    weights = [1 / n_options] * n_options
    rewards = [reward for _, reward in plays]
    low, width = min(rewards, default=0.0), (max(rewards, default=0.0) - min(rewards, default=0.0))
    for option, reward in plays:
        chance = _mixed(weights, mixing)[option]
        relative = (reward - low) / width if width > 0 else 0.0
        weights[option] *= math.exp(mixing * relative / chance / n_options)
        weights = [w + math.e / n / n_options for w in weights]
        total = sum(weights)
        weights = [w / total for w in weights]
    return _mixed(weights, mixing)


def play(n_options: int, plays: Sequence[tuple[int, float]], rng: random.Random) -> int:
    """The option to try next."""
    if n_options == 1:
        return 0
    return rng.choices(range(n_options), probabilities(n_options, plays))[0]


def _mixed(weights: Sequence[float], mixing: float) -> list[float]:
    total = sum(weights)
    return [(1 - mixing) * w / total + mixing / len(weights) for w in weights]
