"""Population based training from parts: any exploit rule with any explore rule."""

import dataclasses

from fspop.mutators import by_report, by_round
from fspop.mutators.base import Decision, MutatorState, View
from fspop.mutators.evolution import Evolution
from fspop.mutators.exploit import Exploit, Truncation, check_exploit
from fspop.seeds import Rng


@dataclasses.dataclass(frozen=True)
class PopulationStrategy(Evolution):
    """Base of population based training; a subclass says in `rule` who copies whom.

    A member is ready every `interval`. Asynchronously (the default) it is then, by itself, compared
    with the others' newest scores at an equal or lower step; synchronously all are compared when
    the last one is ready. Whom the exploit rule finds beaten copies a checkpoint of a better one
    and gets that one's hparams, explored from. Fewer than two comparable members: no decision.

    explore: an explore rule, `f(hparams)` or `f(hparams, rng)`. burn_in: no comparing before a
    member has trained so much. time_unit: of both, "steps", "seconds" of training, or "epochs",
    which the task reports as the metric "epoch". patience: see Rounds. elite: so many of the best
    are never replaced. reference: a member that trains untouched beside the others: never replaced,
    compared, or copied.

    A member that diverged is replaced at that very report (asynchronously at most ten times in a
    row without a score in between), or when its round ends. Members that failed or diverged are
    nobody's parent. Nobody is replaced at its end.
    """

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for the member that reported, or for all of them when a round is over."""
        decide = by_round.decide if self.synchronous else by_report.decide
        return decide(self, state, view, rng)

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the round; None where the strategy is asynchronous."""
        if not self.synchronous:
            return None
        return self.rounds.train_until(state, view.members[member], view)


@dataclasses.dataclass(frozen=True)
class PopulationBased(PopulationStrategy):
    """Population based training with the exploit rule and the explore rule of your choice.

    `PopulationBased(500, exploit=Tournament(), explore=Perturb())`; the other settings are those of
    every PopulationStrategy.
    """

    exploit: Exploit = dataclasses.field(default_factory=Truncation, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_exploit(self.exploit, f"{self.name}.exploit")

    @property
    def rule(self) -> Exploit:
        """The exploit rule as given."""
        return self.exploit
