"""Rounds: the barrier of synchronous strategies, as part of their state."""

import dataclasses
from collections.abc import Iterable

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.checks import check_count
from fspop.mutators.clocks import clock, clock_at_birth
from fspop.mutators.explore import Explore, explore, resampled
from fspop.objectives import Score
from fspop.records import Point
from fspop.seeds import Rng

FRUITLESS_ROUNDS = 10
"""After so many rounds in a row without a healthy member, nothing is restarted any more."""


@dataclasses.dataclass(frozen=True)
class Rounds:
    """A round's members are fixed when it begins; it ends when each of them is ready or sick.

    Ready: it trained the interval and has a score and a checkpoint from its end or later. Sick: it
    failed, or diverged in this round, even if a score followed: what it is must not depend on the
    order of arrival. Members at their end are not waited for. All methods are pure; `state` is the
    strategy's, which holds what `begin` gives.

    first: the length of the first round, where it differs. patience: those that are ready train on
    for so many steps while they wait; when all of them have, the round ends without the others,
    which are neither ranked nor replaced and belong to the next round. None waits for ever.
    """

    interval: float
    time_unit: str = "steps"
    patience: int | None = None
    first: float | None = None
    left_out: tuple[int, ...] = ()

    def begin(self) -> MutatorState:
        """Before the first report.

        By member: `starts` is the step the round began at, `clocks` what its clock showed there,
        `due` the step at which the interval was over, where the interval is not in steps.
        `origins` are the checkpoints it began from.
        """
        by_member: MutatorState = {"starts": {}, "clocks": {}, "due": {}, "origins": {}}
        return {"round": 0, "participants": [], "fruitless": 0, **by_member}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """Before the first report, where a person began these rounds in a run under way.

        The round of a strategy with such rounds goes on, at the new length. After any other one it
        began for all members where the newest generation did, or at that time where an interval is
        none of steps; so all are as far when it ends, and it may be over at once.
        """
        before = getattr(former, "rounds", None)
        kept = self.begin()
        if isinstance(before, Rounds) and memory.get("participants"):
            if (before.time_unit, before.left_out) == (self.time_unit, self.left_out):
                return {**{name: memory[name] for name in kept}, "due": {}, "fruitless": 0}
        members = [view.members[i] for i in self._active(view)]
        healthy = [m for m in members if not m.diverged]
        if self.time_unit != "steps":
            return {**kept, "round": 1, "clocks": self._clocks(healthy)}
        first = int(self._length(kept))
        newest = max((m.start_step for m in members), default=0)
        start = max(newest + int(self.interval) - first, 0)
        return {**kept, "starts": {str(m.index): start for m in healthy}}

    def _clocks(self, members: list[MemberView]) -> dict[str, float]:
        """What the members' clocks showed when the newest generation was born."""
        if self.time_unit == "seconds":
            since = min((m.train_s for m in members), default=0.0)
            return {str(m.index): m.train_s - since for m in members}
        newest = max((clock_at_birth(self.time_unit, m) for m in members), default=0.0)
        return {str(m.index): newest for m in members}

    def noticed(self, state: MutatorState, view: View) -> MutatorState:
        """The state with this round's members, and with the intervals that are over."""
        if not state["participants"]:
            state = {**state, "participants": self._active(view)}
        if self.time_unit == "steps":
            return state
        over = {str(m.index): m.step for m in view.members if self._spent(state, m)}
        return {**state, "due": {**over, **state["due"]}}

    def _spent(self, state: MutatorState, m: MemberView) -> bool:
        since = clock(self.time_unit, m) - state["clocks"].get(str(m.index), 0.0)
        return bool(since >= self._length(state))

    def _active(self, view: View) -> list[int]:
        members = (m for m in view.members if m.status == "active" and not ended(m, view))
        return [m.index for m in members if m.index not in self.left_out]

    def _length(self, state: MutatorState) -> float:
        return self.first if self.first is not None and state["round"] == 0 else self.interval

    def start(self, state: MutatorState, m: MemberView) -> int:
        """The step at which the round began for the member."""
        return int(state["starts"].get(str(m.index), m.start_step))

    def due(self, state: MutatorState, m: MemberView) -> int | None:
        """The step at which it ends; None where that is not known yet."""
        if self.time_unit == "steps":
            return self.start(state, m) + int(self._length(state))
        found = state["due"].get(str(m.index))
        return None if found is None else int(found)

    def members(self, state: MutatorState, view: View) -> list[MemberView]:
        """Who is in this round and not at its end."""
        return [m for m in view.members if m.index in state["participants"] and not ended(m, view)]

    def sick(self, state: MutatorState, m: MemberView) -> bool:
        """Whether it is ranked last."""
        return m.status == "failed" or self.divergence(state, m) is not None

    def divergence(self, state: MutatorState, m: MemberView) -> str | None:
        """What went wrong in this round, in words; None: nothing."""
        start = self.start(state, m)
        for e in m.evaluations:
            if e.diverged and (e.step > start or start == m.start_step):
                return f"diverged at step {e.step} ({e.diverged})"
        return None

    def value(self, state: MutatorState, m: MemberView, view: View) -> Score | None:
        """Its newest score from the end of the interval on."""
        due, goal = self.due(state, m), view.goal
        found = (
            goal.score(e) for e in reversed(m.evaluations) if due is not None and e.step >= due
        )
        return next((score for score in found if score is not None), None)

    def _ready(self, state: MutatorState, m: MemberView, view: View) -> bool:
        due = self.due(state, m)
        saved = due is not None and bool(m.checkpoints) and m.checkpoints[-1].step >= due
        return saved and self.value(state, m, view) is not None

    def over(self, state: MutatorState, view: View) -> bool:
        """Whether the round ends now."""
        members = self.members(state, view)
        if not members or state["fruitless"] >= FRUITLESS_ROUNDS:
            return False
        if not self._active(view):  # all failed; a retried member goes on in this very round
            return False
        if all(self._ready(state, m, view) or self.sick(state, m) for m in members):
            return True
        return self.patience is not None and self._runs_out(state, members, view)

    def _runs_out(self, state: MutatorState, members: list[MemberView], view: View) -> bool:
        done = [m for m in members if self._ready(state, m, view) and not self.sick(state, m)]
        return bool(done) and all(m.step >= (self._limit(state, m) or 0) for m in done)

    def _limit(self, state: MutatorState, m: MemberView) -> int | None:
        due = self.due(state, m)
        return None if due is None else due + (self.patience or 0)

    def scores(self, state: MutatorState, view: View) -> dict[int, Score | None]:
        """By member, once the round is over; None for the sick. Who was not waited for has none."""
        members = self.members(state, view)
        ready = [m for m in members if self._ready(state, m, view)]
        values = {m.index: self.value(state, m, view) for m in ready}
        return {**values, **{m.index: None for m in members if self.sick(state, m)}}

    def train_until(self, state: MutatorState, m: MemberView, view: View) -> int | None:
        """The end of the member's interval; where it stands, if it is sick."""
        out = m.index in self.left_out or state["fruitless"] >= FRUITLESS_ROUNDS
        if out or (state["participants"] and m.index not in state["participants"]):
            return None
        return m.step if self.sick(state, m) else self._limit(state, m)

    def next(
        self,
        state: MutatorState,
        view: View,
        decisions: Iterable[Decision],
        *,
        fruitless: bool = False,
    ) -> MutatorState:
        """The state of the next round, which begins where `decisions` say, or where each stands."""
        born = {d.member: d.source for d in decisions}
        late = set(state["participants"]) - set(self.scores(state, view)) - set(born)
        by_member: MutatorState = {"starts": {}, "clocks": {}, "due": {}, "origins": {}}
        for m in (view.members[i] for i in self._active(view)):
            if m.index in late:
                facts = {name: state[name].get(str(m.index)) for name in by_member}
            elif m.index in born:
                facts = self._begun_at(view, born[m.index])
            else:
                facts = self._going_on(state, m)
            for name, value in facts.items():
                by_member[name] |= {} if value is None else {str(m.index): value}
        return {
            **state,
            **by_member,
            "round": state["round"] + 1,
            "participants": self._active(view),
            "fruitless": state["fruitless"] + 1 if fruitless else 0,
        }

    def _begun_at(self, view: View, source: Point | None) -> MutatorState:
        if source is None:
            return {"starts": 0}
        facts: MutatorState = {"starts": source.step, "origins": list(source)}
        donor = [m for m in view.members if m.generation == source.generation]
        if donor and self.time_unit == "epochs":
            facts["clocks"] = clock(self.time_unit, donor[0], source.step)
        return facts

    def _going_on(self, state: MutatorState, m: MemberView) -> MutatorState:
        facts: MutatorState = {"starts": max(self.due(state, m) or 0, self.start(state, m))}
        if self.time_unit != "steps":
            facts["clocks"] = clock(self.time_unit, m)
        if m.checkpoints:
            facts["origins"] = list(m.checkpoints[-1].point)
        return facts

    def start_over(
        self, state: MutatorState, view: View, rule: Explore, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Nobody is healthy: each goes back to where its round began, with new hparams."""
        decisions = []
        for m in (m for m in self.members(state, view) if m.status == "active"):
            source = _origin(state, m)
            where = f"{source.generation} at step {source.step}" if source else "nothing"
            reason = (
                f"round {state['round']}: nobody is healthy; {self.divergence(state, m)}, so "
                f"starts over from {where} with new hparams"
            )
            new = explore(resampled(rule), m.hparams, view.space, rng.member(m.index))
            decisions.append(Decision(m.index, source, new, reason))
        return self.next(state, view, decisions, fruitless=True), decisions

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the round began, in case nobody survives it."""
        return sorted({Point(*origin) for origin in state["origins"].values()})


def ended(m: MemberView, view: View) -> bool:
    """Whether the member is at its end: it takes no new hparams and gives no weights."""
    return m.status == "finished" or (view.total_steps is not None and m.step >= view.total_steps)


def _origin(state: MutatorState, m: MemberView) -> Point | None:
    """Where the member's round began, as far as it can still be started from."""
    if str(m.index) in state["origins"]:
        return Point(*state["origins"][str(m.index)])
    if not m.checkpoints:
        return m.restart.point if m.restart else None
    return m.checkpoints[0].point if m.start_step > 0 else None  # the strategy changed in mid-run


def check_patience(patience: int | None, name: str, *, synchronous: bool = True) -> None:
    """Raises InvalidSetting unless it is None or a number of steps of a synchronous strategy."""
    if patience is None:
        return
    check_count(patience, f"{name}.patience", 1)
    if not synchronous:
        raise InvalidSetting(
            f"{name}.patience: got {patience}, but only a synchronous strategy waits; "
            "leave it out, or set synchronous=True"
        )
