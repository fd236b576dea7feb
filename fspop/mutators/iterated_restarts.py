"""Iterated population based training: restarts with longer rounds whenever progress stops."""

import dataclasses
import random
import statistics
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, Mutator, MutatorState, View
from fspop.mutators.bayesian import Bayesian
from fspop.mutators.checks import check_count
from fspop.mutators.explore import Past, Row
from fspop.mutators.pb2 import PB2
from fspop.mutators.plateau import has_flattened
from fspop.mutators.ranking import merits, rank
from fspop.objectives import Score
from fspop.records import Point
from fspop.seeds import Rng
from fspop.space import Space

SHRUNK = {"keep": 0.2, "fresh": 0.1}
FRESH = {"keep": 0.0, "fresh": 1.0}
CURVE_LENGTH = 64


@dataclasses.dataclass(frozen=True)
class IteratedRestarts(Mutator):
    """IPBT (Chebykin et al. 2025, arXiv:2511.09190), synchronous.

    PB2 by quarters in rounds of `interval` steps. When the best score of the rounds has flattened,
    all members start anew and the rounds are twice as long from then on, unless two of those do not
    fit before the end of the run. At the beginning, and at each restart, two candidates for each
    member train one round, one after the other, from the same step; the better half of all goes on.

    A candidate's hparams are drawn from the space, or proposed by a model of what former starts led
    to. Its weights come from the best quarter. Half of them are shrunk and perturbed, half replaced
    by fresh ones; as only the task can do so, the candidate's hparams tell it: under `restart_key`
    they hold {"keep": a, "fresh": b}, for a * weights + b * fresh weights, to be applied once when
    that generation begins. Other generations do not have the key.

    The best checkpoint of all starts is the run's best, which the controller keeps. With several
    objectives progress is that of the first one.
    """

    interval: int
    restart_key: str = "restart"
    _: dataclasses.KW_ONLY
    explore: Bayesian = dataclasses.field(default_factory=Bayesian)

    def __post_init__(self) -> None:
        check_count(self.interval, "IteratedRestarts.interval", 1)
        if not isinstance(self.restart_key, str) or not self.restart_key:
            raise InvalidSetting(
                f"IteratedRestarts.restart_key: got {self.restart_key!r}; give an hparam's name"
            )
        if not isinstance(self.explore, Bayesian):
            raise InvalidSetting(f"IteratedRestarts.explore: got {self.explore!r}; give Bayesian()")

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for less than 4 members, or without a space of its own keys."""
        if n_members < 4:
            raise InvalidSetting(f"IteratedRestarts: got {n_members} members; give at least 4")
        if space is None:
            raise InvalidSetting("IteratedRestarts: the run has no space; give it one")
        if self.restart_key in space.mapping:
            raise InvalidSetting(
                f"IteratedRestarts.restart_key: got {self.restart_key!r}, which the space has too; "
                "give another name"
            )

    def init(self) -> MutatorState:
        """The first candidates are in training.

        `doing` is first, second (the candidates) or evolving; `length` the steps of a round;
        `curve` the best score of each round since the start; `candidates` [score, generation, step,
        hparams] of the first ones by member; `from` where the second ones begin by member;
        `meta` what the model of starts knows; `started` how often it restarted.
        """
        start: MutatorState = {"curve": [], "candidates": {}, "from": {}, "meta": {}, "started": 0}
        return {"doing": "first", "length": self.interval, **start, "inner": self._inner().init()}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """Where a former IPBT stands; after another strategy the population as it is evolves, and
        candidates are tried at the first restart.
        """
        if not isinstance(former, IteratedRestarts):
            inner = self._inner().resume(view, former, memory)
            return {**self.init(), "doing": "evolving", "inner": inner}
        before, length = former._inner(memory["length"]), self.interval * 2 ** memory["started"]
        inner = self._inner(length).resume(view, before, memory["inner"])
        return {**memory, "length": length, "inner": inner}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for all members of the round once the last one is ready, in whatever order."""
        inner = self._inner(state["length"])
        before = inner.rounds.noticed(state["inner"], view)
        over = inner.rounds.over(before, view)
        scores = inner.rounds.scores(before, view) if over else {}
        if over and rank(scores, view.goal) and state["doing"] != "evolving":
            return self._candidates(state, before, view, scores, rng)
        after, decisions = inner.update(state["inner"], view, rng)
        state = {**state, "inner": after}
        order = rank(scores, view.goal)
        if order:
            curve = [*state["curve"], view.goal.first(scores[order[0]] or 0.0)][-CURVE_LENGTH:]
            state = {**state, "curve": curve}
            if has_flattened(curve) and self._fits(state, view):
                return self._restarted(state, before, view, order, rng)
        return state, [self._plain(decision) for decision in decisions]

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the round."""
        return self._inner(state["length"]).train_until(state["inner"], view, member)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where candidates ended and began, and where the round did."""
        ends = [Point(generation, step) for _, generation, step, _ in state["candidates"].values()]
        begins = [Point(*point) for point in state["from"].values() if point]
        return [*ends, *begins, *self._inner(state["length"]).keeps(state["inner"])]

    def _inner(self, length: int | None = None) -> PB2:
        return PB2(length or self.interval, explore=self.explore, synchronous=True)

    def _plain(self, decision: Decision) -> Decision:
        """Without the order to restart, which is for candidates alone."""
        hparams = {k: v for k, v in decision.hparams.items() if k != self.restart_key}
        return decision._replace(hparams=hparams)

    def _fits(self, state: MutatorState, view: View) -> bool:
        step = max(m.step for m in view.members)
        return view.total_steps is None or step + 2 * (2 * state["length"]) <= view.total_steps

    # -- starts
    def _restarted(
        self, state: MutatorState, inner: MutatorState, view: View, order: list[int], rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """All members become first candidates of the next start, with rounds twice as long."""
        best = order[: max(1, len(order) // 4)]
        state = {
            **state,
            "doing": "first",
            "length": 2 * state["length"],
            "curve": [],
            "candidates": {},
            "started": state["started"] + 1,
        }
        sources: dict[str, Any] = {}
        for i in self._active(inner, view):
            donor = view.members[rng.member(i, "restart").choice(best)]
            sources[str(i)] = list(donor.checkpoints[-1].point)
        state = {**state, "from": sources}
        why = f"start {state['started']}: progress stopped"
        decisions = self._begun(state, view, why, rng)
        return self._next(state, {**inner, "model": {}}, view, decisions), decisions

    def _begun(self, state: MutatorState, view: View, why: str, rng: Rng) -> list[Decision]:
        """The decisions that begin the first or the second candidates."""
        decisions: list[Decision] = []
        for key, source in sorted(state["from"].items(), key=lambda pair: int(pair[0])):
            i = int(key)
            m, stream = view.members[i], rng.member(i, "candidate")
            hparams = self._drawn(state, view, i, stream, decisions)
            reason = f"{why}; {state['doing']} candidate"
            if source:
                order = SHRUNK if i % 2 else FRESH
                hparams = {**hparams, self.restart_key: dict(order)}
                weights = "shrunk" if i % 2 else "fresh"
                reason += f", {weights} weights, from {source[0]} at step {source[1]}"
            if m.status == "active":
                decisions.append(Decision(i, Point(*source) if source else None, hparams, reason))
        return decisions

    def _drawn(
        self,
        state: MutatorState,
        view: View,
        i: int,
        stream: random.Random,
        others: list[Decision],
    ) -> Any:
        """Hparams of a candidate: drawn, or proposed for every other pair of members."""
        assert view.space is not None
        hparams = view.space.sample(stream)
        if i // 2 % 2 == 0 or not state["started"]:
            return hparams
        now = state["started"]
        past = Past(state["meta"], view.mode, now, 0.0, [(now, 0.0, d.hparams) for d in others])
        return self.explore.apply(hparams, view.space, stream, past)

    def _candidates(
        self,
        state: MutatorState,
        inner: MutatorState,
        view: View,
        scores: dict[int, Score | None],
        rng: Rng,
    ) -> tuple[MutatorState, list[Decision]]:
        """After the first ones the second ones begin; after those the better half goes on."""
        found = {
            str(i): [score, *view.members[i].checkpoints[-1].point, view.members[i].hparams]
            for i, score in scores.items()
            if score is not None
        }
        state = self._rated(state, view, found)
        if state["doing"] == "first":
            if not state["from"]:  # the very first start, from nothing
                nothing = {str(i): None for i in self._active(inner, view)}
                state = {**state, "from": nothing}
            state = {**state, "doing": "second", "candidates": found}
            decisions = self._begun(state, view, f"start {state['started']}", rng)
            return self._next(state, inner, view, decisions), decisions
        decisions = self._selected(state, inner, view, found)
        state = {**state, "doing": "evolving", "candidates": {}, "from": {}}
        return self._next(state, inner, view, decisions), decisions

    def _selected(
        self, state: MutatorState, inner: MutatorState, view: View, found: dict[str, Any]
    ) -> list[Decision]:
        """The better half of all candidates goes on, each in one member."""
        both = [("second", i, c) for i, c in found.items()]
        both += [("first", i, c) for i, c in state["candidates"].items()]
        order = rank({k: c[0] for k, (_, _, c) in enumerate(both)}, view.goal)
        active = self._active(inner, view)
        winners = [both[k] for k in order[: len(active)]]
        stay = {int(i) for turn, i, _ in winners if turn == "second"}
        moving = [(i, c) for turn, i, c in winners if turn == "first"]
        moving = moving or [(i, c) for _, i, c in winners]  # fewer healthy ones than places
        places = [i for i in active if i not in stay]
        decisions = []
        for place, member in enumerate(places):
            trained_by, (score, generation, step, hparams) = moving[place % len(moving)]
            reason = (
                f"start {state['started']}: goes on with the candidate that member {trained_by} "
                f"trained to {view.goal.shown(score)}, among the better half"
            )
            decision = Decision(member, Point(generation, step), hparams, reason)
            decisions.append(self._plain(decision))
        return decisions

    def _rated(self, state: MutatorState, view: View, found: dict[str, Any]) -> MutatorState:
        """The state after the model of starts learned how the candidates compare."""
        sign = view.goal.sign
        numbers = merits({int(i): c[0] for i, c in found.items()}, view.goal)
        values = [sign * number for number in numbers.values()]
        mean, spread = statistics.fmean(values), statistics.pstdev(values) or 1.0
        meta = state["meta"]
        assert view.space is not None
        for value, (_, _, _, hparams) in zip(values, found.values(), strict=True):
            row = Row(state["started"], 1, 0.0, hparams, (value - mean) / spread)
            meta = self.explore.learned(meta, row, view.space)
        return {**state, "meta": meta}

    # -- rounds
    def _active(self, inner: MutatorState, view: View) -> list[int]:
        members = self._inner().rounds.members(inner, view)
        return [m.index for m in members if m.status == "active"]

    def _next(
        self, state: MutatorState, inner: MutatorState, view: View, decisions: list[Decision]
    ) -> MutatorState:
        rounds = self._inner(state["length"]).rounds
        following = rounds.next(inner, view, decisions)
        moved = {str(decision.member) for decision in decisions}
        members = {i: entry for i, entry in following["members"].items() if i not in moved}
        return {**state, "inner": {**following, "members": members}}
