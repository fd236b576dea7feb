"""Winner takes all: in rounds, the best member's weights go to all others, hparams mutated."""

import dataclasses
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, MutateFn, Mutator, MutatorState, View
from fspop.mutators.checks import check_count, check_flag, check_seconds
from fspop.mutators.explore import (
    ExploreRule,
    Perturb,
    check_explore,
    check_space,
    explore,
    rehearse_explore,
)
from fspop.mutators.ranking import mean_score, rank
from fspop.mutators.rounds import Rounds
from fspop.objectives import Score
from fspop.records import Point
from fspop.seeds import Rng
from fspop.space import Space


@dataclasses.dataclass(frozen=True)
class WinnerTakeAllGenetic(Mutator):
    """The genetic strategy of the population library (learned_optimization), synchronous.

    A round ends when each of its members has trained the interval, has a score at or after its end,
    and a checkpoint. The best one's latest checkpoint goes to the others with mutated hparams; it
    goes on from there itself, in a new generation with its own hparams.

    mutate_fn: `f(hparams)` or `f(hparams, rng)`, or a Perturb; None perturbs in the run's space.
    steps_per_exploit, seconds_per_exploit: exactly one of them; seconds are seconds of training.
    average_over_samples: a score is the mean of the values from the end of the interval on (at most
    the newest 64), else the last value. mutate_winner: the winner's hparams are mutated too.

    A member that diverged in this round holds at once and is replaced when the round ends. One that
    failed or finished is not waited for. Where nobody is healthy, each member goes back to where
    its round began, with new hparams, up to ten rounds in a row; then all train on undisturbed, so
    that the run ends.
    """

    mutate_fn: MutateFn | ExploreRule | None = None
    steps_per_exploit: int | None = None
    seconds_per_exploit: float | None = None
    average_over_samples: bool = True
    mutate_winner: bool = False

    def __post_init__(self) -> None:
        if (self.steps_per_exploit is None) == (self.seconds_per_exploit is None):
            raise InvalidSetting(
                "WinnerTakeAllGenetic: got steps_per_exploit="
                f"{self.steps_per_exploit!r} and seconds_per_exploit={self.seconds_per_exploit!r}; "
                "give exactly one of them"
            )
        if self.steps_per_exploit is not None:
            check_count(self.steps_per_exploit, "WinnerTakeAllGenetic.steps_per_exploit", 1)
        else:
            check_seconds(self.seconds_per_exploit, "WinnerTakeAllGenetic.seconds_per_exploit")
        check_flag(self.average_over_samples, "WinnerTakeAllGenetic.average_over_samples")
        check_flag(self.mutate_winner, "WinnerTakeAllGenetic.mutate_winner")
        check_explore(self._rule, "WinnerTakeAllGenetic.mutate_fn")

    @property
    def _rule(self) -> MutateFn | ExploreRule:
        return Perturb() if self.mutate_fn is None else self.mutate_fn

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for one member, which would never change, or no way to mutate."""
        check_space(self._rule, "WinnerTakeAllGenetic.mutate_fn", space)
        if n_members < 2 and not self.mutate_winner:
            raise InvalidSetting(
                f"WinnerTakeAllGenetic: got a population of {n_members}, whose only member always "
                "wins; give at least 2 members, or mutate_winner=True"
            )

    @property
    def rounds(self) -> Rounds:
        """The barrier."""
        if self.steps_per_exploit is not None:
            return Rounds(self.steps_per_exploit)
        assert self.seconds_per_exploit is not None
        return Rounds(self.seconds_per_exploit, "seconds")

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where the function to explore with fails on `hparams`."""
        rehearse_explore(self._rule, f"{self.name}.mutate_fn", hparams, space)

    def init(self) -> MutatorState:
        """No round yet: its members are fixed at the first report."""
        return self.rounds.begin()

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """In the round of the former strategy, or in one that began with the newest generation."""
        return self.rounds.resume(view, former, memory)

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for all members of the round once the last one is ready, in whatever order."""
        rounds = self.rounds
        state = rounds.noticed(state, view)
        if not rounds.over(state, view):
            return state, []
        healthy = rounds.scores(state, view)
        scores = {
            i: None if value is None else self._score(state, view.members[i], view)
            for i, value in healthy.items()
        }
        order = rank(scores, view.goal)
        if not order:
            return rounds.start_over(state, view, self._rule, rng)
        decisions = self._spread(state, view, scores, order[0], rng)
        return rounds.next(state, view, decisions), decisions

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the member's interval; where it stands, if it diverged or its time is over."""
        return self.rounds.train_until(state, view.members[member], view)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the round began, in case nobody survives it."""
        return self.rounds.keeps(state)

    def _score(self, state: MutatorState, m: MemberView, view: View) -> Score:
        due, goal = self.rounds.due(state, m), view.goal
        found = [goal.score(e) for e in m.evaluations if due is not None and e.step >= due]
        values = [value for value in found if value is not None]
        return mean_score(values) if self.average_over_samples else values[-1]

    def _spread(
        self,
        state: MutatorState,
        view: View,
        scores: dict[int, Score | None],
        best: int,
        rng: Rng,
    ) -> list[Decision]:
        winner = view.members[best]
        source = winner.checkpoints[-1].point
        shown = {i: view.goal.shown(s) for i, s in scores.items() if s is not None}
        won = f"round {state['round']}: member {best} won with {shown[best]}"
        decisions = []
        for m in (view.members[i] for i in sorted(scores) if view.members[i].status == "active"):
            if m.index != best:
                standing = self._standing(state, m, shown.get(m.index))
                reason = f"{won}; {standing}, so copies it and mutates"
            else:
                reason = f"{won}; goes on{', mutated' if self.mutate_winner else ' unchanged'}"
            hparams = winner.hparams
            if m.index != best or self.mutate_winner:
                hparams = explore(self._rule, hparams, view.space, rng.member(m.index))
            decisions.append(Decision(m.index, source, hparams, reason))
        return decisions

    def _standing(self, state: MutatorState, m: MemberView, shown: str | None) -> str:
        if shown is not None:
            return f"this one had {shown}"
        return f"this one {self.rounds.divergence(state, m) or 'failed'}"
