"""Multiple-frequencies population based training: sub-populations that evolve at their own pace."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.checks import check_count
from fspop.mutators.clocks import check_interval
from fspop.mutators.explore import (
    Explore,
    Perturb,
    check_explore,
    check_space,
    explore,
    rehearse_explore,
)
from fspop.mutators.ranking import rank
from fspop.mutators.rounds import Rounds, check_patience
from fspop.records import Point
from fspop.seeds import Rng
from fspop.space import Space


class _Round(NamedTuple):
    """What the decisions of one round go by: the ranking before it, best first, the sick last."""

    number: int
    view: View
    rng: Rng
    order: list[int]
    ranking: list[int]
    signs: dict[int, str]


@dataclasses.dataclass(frozen=True)
class MultipleFrequencies(Mutator):
    """MF-PBT (Doulazmi et al. 2025, arXiv:2506.03225), synchronous; it is not greedy.

    The members are split evenly, in their order, into one sub-population for each of `frequencies`;
    number i evolves every `frequencies[i]` rounds. Then its bottom quarter copies random members of
    its own top quarter and explores. Each member of its third quarter, best first, meets the best
    member of the other sub-populations that is not taken yet, and takes that one's weights if it is
    better: with its hparams if it comes from a slower sub-population, with those of the best of its
    own if it comes from a faster one. Nothing is explored after that. The rest goes on.

    interval: a round, in `time_unit` (steps, seconds or epochs). frequencies: ascending, the first
    is 1. Each sub-population needs a number of members that 4 divides. A member that diverged
    copies one of its own top quarter when the round ends. patience: see Rounds.
    """

    interval: float
    frequencies: Sequence[int] = (1, 10)
    _: dataclasses.KW_ONLY
    explore: Explore = dataclasses.field(default_factory=Perturb)
    time_unit: str = "steps"
    patience: int | None = None

    def __post_init__(self) -> None:
        check_interval(self.interval, 0, self.time_unit, self.name)
        check_explore(self.explore, f"{self.name}.explore")
        check_patience(self.patience, self.name)
        where = f"{self.name}.frequencies"
        if not isinstance(self.frequencies, list | tuple) or len(self.frequencies) < 2:
            raise InvalidSetting(f"{where}: got {self.frequencies!r}; give two or more, as (1, 10)")
        for frequency in self.frequencies:
            check_count(frequency, where, 1)
        if self.frequencies[0] != 1 or sorted(set(self.frequencies)) != list(self.frequencies):
            raise InvalidSetting(f"{where}: got {self.frequencies!r}; give them ascending, from 1")
        object.__setattr__(self, "frequencies", tuple(self.frequencies))

    @property
    def rounds(self) -> Rounds:
        """The barrier."""
        return Rounds(self.interval, self.time_unit, self.patience)

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting where the members cannot be split so, or there is no way to
        explore.
        """
        check_space(self.explore, f"{self.name}.explore", space)
        each = 4 * len(self.frequencies)
        if n_members % each:
            raise InvalidSetting(
                f"{self.name}: got a population of {n_members}; with {len(self.frequencies)} "
                f"frequencies give a multiple of {each}, e.g. {(n_members // each + 1) * each}"
            )

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where the function to explore with fails on `hparams`."""
        rehearse_explore(self.explore, f"{self.name}.explore", hparams, space)

    def init(self) -> MutatorState:
        """No round yet; `size` is how many members a sub-population has, once they are seen."""
        return {**self.rounds.begin(), "size": 0}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """In the round of the former strategy, or in one that began with the newest generation."""
        return {**self.rounds.resume(view, former, memory), "size": 0}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for all members of the round once the last one is ready, in whatever order."""
        rounds = self.rounds
        state = rounds.noticed(state, view)
        if not state["size"]:
            state = {**state, "size": max(1, len(view.members) // len(self.frequencies))}
        if not rounds.over(state, view):
            return state, []
        scores = rounds.scores(state, view)
        order = rank(scores, view.goal)
        if not order:
            return rounds.start_over(state, view, self.explore, rng)
        sick = [i for i in sorted(scores) if i not in order]
        signs = {i: rounds.divergence(state, view.members[i]) or "failed" for i in sick}
        r = _Round(state["round"] + 1, view, rng, order, [*order, *sick], signs)
        decisions = [d for i in range(len(self.frequencies)) for d in self._evolved(state, r, i)]
        return rounds.next(state, view, decisions), decisions

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the round."""
        return self.rounds.train_until(state, view.members[member], view)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the round began, in case nobody survives it."""
        return self.rounds.keeps(state)

    def _group(self, state: MutatorState, member: int) -> int:
        return int(min(member // state["size"], len(self.frequencies) - 1))

    def _evolved(self, state: MutatorState, r: _Round, group: int) -> list[Decision]:
        """The decisions about one sub-population; only about its sick if it is not its turn."""
        own = [i for i in r.ranking if self._group(state, i) == group]
        quarter = max(1, len(own) // 4)
        healthy = [i for i in own if i in r.order]
        top = healthy[:quarter] or r.order[:1]
        turn = r.number % self.frequencies[group] == 0
        bottom = own[-quarter:] if turn else []
        low = [i for i in own if i in r.signs or (i in bottom and i not in top)]
        copies = [self._copy(r, r.view.members[i], own, top) for i in low]
        third = own[2 * quarter : -quarter] if turn else []
        third = [i for i in third if i not in low]
        moved = self._migrations(state, r, group, third, healthy)
        return [d for d in [*copies, *moved] if r.view.members[d.member].status == "active"]

    def _copy(self, r: _Round, m: MemberView, own: list[int], top: list[int]) -> Decision:
        """A copy of one of the top quarter, explored."""
        donor = r.view.members[r.rng.member(m.index, "exploit").choice(top)]
        hparams = explore(self.explore, donor.hparams, r.view.space, r.rng.member(m.index))
        source = donor.checkpoints[-1].point
        sign = r.signs.get(m.index) or f"ranked {own.index(m.index) + 1} of its {len(own)}"
        reason = f"round {r.number}: {sign}; copies member {donor.index} at step {source.step}"
        return Decision(m.index, source, hparams, f"{reason} and explores")

    def _migrations(
        self, state: MutatorState, r: _Round, group: int, third: list[int], healthy: list[int]
    ) -> list[Decision]:
        others = [i for i in r.order if self._group(state, i) != group]
        decisions = []
        for i in third:
            if not others or r.order.index(others[0]) > r.order.index(i):
                continue
            donor = r.view.members[others.pop(0)]
            slower = self._group(state, donor.index) > group
            hparams = donor.hparams if slower else r.view.members[healthy[0]].hparams
            source = donor.checkpoints[-1].point
            weights = f"takes the weights of member {donor.index} at step {source.step}"
            whose = donor.index if slower else healthy[0]
            pace = f"{'slower' if slower else 'faster'}, with the hparams of member {whose}"
            reason = f"round {r.number}: {weights}, which is {pace}"
            decisions.append(Decision(i, source, hparams, reason))
        return decisions
