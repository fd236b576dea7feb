"""Backtracking: the worst members go back to the best checkpoints there ever were."""

import dataclasses

from fspop.mutators.exploit import Exploit, Truncation, check_fraction
from fspop.mutators.population_based import PopulationStrategy


@dataclasses.dataclass(frozen=True)
class BestSoFar(Truncation):
    """The worst `fraction` copies one of the best checkpoints so far, as many as the fraction is.

    One checkpoint of a generation at most is among them.
    """

    def archived(self, n_members: int) -> int:
        """As many as the best fraction has members."""
        return self.band(n_members)


@dataclasses.dataclass(frozen=True)
class Backtracking(PopulationStrategy):
    """Truncation selection whose donors are the best checkpoints so far, whoever made them.

    So a population that gets worse goes back. A member returns to the step of that checkpoint; it
    goes back to an earlier step at most ten times, so every run ends. As the exploit rule
    "backtrack" of Orion; the other settings are those of every PopulationStrategy.
    """

    fraction: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction(self.fraction, "Backtracking.fraction")

    @property
    def rule(self) -> Exploit:
        """Truncation with the archive."""
        return BestSoFar(self.fraction)
