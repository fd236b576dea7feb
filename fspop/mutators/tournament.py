"""Binary tournament: each member meets a random other one and copies it if that one is better."""

import dataclasses
import random
from collections.abc import Sequence

from fspop.mutators.exploit import Copy, Exploit, Standing
from fspop.mutators.population_based import PopulationStrategy


@dataclasses.dataclass(frozen=True)
class Tournament(Exploit):
    """Meets one random other member; the one that ranks higher is copied."""

    def choose(self, standing: Standing, rng: random.Random) -> Copy | None:
        """The opponent, if that one is better."""
        opponent = rng.choice([i for i in standing.order if i != standing.me])
        if standing.order.index(opponent) > standing.place:
            return None
        mine, theirs = standing.shown(standing.me), standing.shown(opponent)
        return Copy([opponent], f"lost to member {opponent} ({mine} against {theirs})")

    def best(self, order: Sequence[int]) -> Sequence[int]:
        """The better half."""
        return order[: max(1, len(order) // 2)]


@dataclasses.dataclass(frozen=True)
class BinaryTournament(PopulationStrategy):
    """Population based training with binary tournaments (Jaderberg et al. 2017, arXiv:1711.09846).

    A member that is ready meets a random other one; if that one ranks higher, it is copied and
    explored from. The settings are those of every PopulationStrategy.
    """

    @property
    def rule(self) -> Exploit:
        """The tournament."""
        return Tournament()
