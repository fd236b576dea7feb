"""Welch's t-test: a member copies a random other one whose recent scores are clearly better."""

import dataclasses
import random
import statistics
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.checks import check_count
from fspop.mutators.exploit import Copy, Exploit, Standing
from fspop.mutators.population_based import PopulationStrategy
from fspop.mutators.student import welch
from fspop.records import is_number


@dataclasses.dataclass(frozen=True)
class Welch(Exploit):
    """Meets a random other member; copies it if its newest scores are higher, significantly.

    n_scores: how many of the newest scores of each are compared (2 or more); with fewer than two
    there is no test. Vectors are compared by their ranks among both samples. p: the level of the
    two-sided test, above 0 and below 1.
    """

    n_scores: int = 10
    p: float = 0.05

    def __post_init__(self) -> None:
        check_welch(self.n_scores, self.p, "Welch")

    @property
    def n_recent(self) -> int:
        """The scores the test needs."""
        return self.n_scores

    def choose(self, standing: Standing, rng: random.Random) -> Copy | None:
        """The opponent, if its mean is better and the test says that this is no accident."""
        opponent = rng.choice([i for i in standing.order if i != standing.me])
        samples = [standing.recent.get(i, ()) for i in (standing.me, opponent)]
        mine, theirs = standing.numbers(samples)
        t, p = welch(theirs, mine)
        better = standing.aim.sign * t > 0
        if not better or p >= self.p:
            return None
        means = f"{statistics.fmean(mine):.6g} against {statistics.fmean(theirs):.6g}"
        return Copy([opponent], f"clearly worse than member {opponent} ({means}, p = {p:.2g})")


@dataclasses.dataclass(frozen=True)
class WelchTTest(PopulationStrategy):
    """Population based training with t-tests (Jaderberg et al. 2017, arXiv:1711.09846).

    A member that is ready meets a random other one; if the mean of that one's newest `n_scores`
    scores is better and Welch's t-test gives less than `p`, it is copied and explored from. A copy
    has its donor's past scores. The other settings are those of every PopulationStrategy.
    """

    n_scores: int = 10
    p: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_welch(self.n_scores, self.p, "WelchTTest")

    @property
    def rule(self) -> Exploit:
        """The test."""
        return Welch(self.n_scores, self.p)


def check_welch(n_scores: Any, p: Any, name: str) -> None:
    """Raises InvalidSetting unless these are settings of a t-test."""
    check_count(n_scores, f"{name}.n_scores", 2)
    if n_scores > 64:
        raise InvalidSetting(f"{name}.n_scores: got {n_scores}; give at most 64")
    if not is_number(p) or not 0 < p < 1:
        raise InvalidSetting(f"{name}.p: got {p!r}; give a number above 0 and below 1")
