"""Truncation selection: who is among the worst copies one of the best."""

import dataclasses

from fspop.mutators.exploit import Exploit, Truncation, check_fraction
from fspop.mutators.population_based import PopulationStrategy


@dataclasses.dataclass(frozen=True)
class TruncationSelection(PopulationStrategy):
    """Population based training by truncation (Jaderberg et al. 2017, arXiv:1711.09846).

    Among the worst `fraction` (at least one) a member copies a random one of the best `fraction`,
    and explores from that one's hparams; else it goes on as it is. fraction: above 0 and up to 0.5.
    The other settings are those of every PopulationStrategy.
    """

    fraction: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction(self.fraction, f"{self.name}.fraction")

    @property
    def rule(self) -> Exploit:
        """The truncation."""
        return Truncation(self.fraction)
