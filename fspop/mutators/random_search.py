"""Random search: what a strategy has to beat at an equal budget."""

import dataclasses

from fspop.mutators.base import Decision, Mutator, MutatorState, View
from fspop.seeds import Rng


@dataclasses.dataclass(frozen=True)
class RandomSearch(Mutator):
    """No decisions: each member trains to its end with the hparams it began with."""

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Nothing."""
        return state, []
