"""What population based strategies share, whether they decide by report or by round."""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.checks import check_count, check_flag
from fspop.mutators.clocks import check_interval, clock, clock_at_birth
from fspop.mutators.curves import Curve, up_to, value_at, with_point
from fspop.mutators.exploit import Copy, Exploit
from fspop.mutators.explore import (
    Explore,
    ExploreRule,
    Past,
    Perturb,
    Row,
    check_explore,
    check_space,
    explore,
    rehearse_explore,
)
from fspop.mutators.ranking import rank
from fspop.mutators.rounds import Rounds, check_patience
from fspop.objectives import Goal, Score
from fspop.records import Checkpoint, Evaluation, Point
from fspop.seeds import Rng
from fspop.space import Space

MAX_SETBACKS = 10
"""How often a member goes back to an earlier step, so that every run comes to its end."""

Entry = dict[str, Any]
"""What the state holds of a member: the `generation` it was last seen in, what its clock showed
when it was `ready` the last time, its seconds `before_s` this generation, its `scores` by step, its
`rescues` in a row, its `setbacks`, and the `start` [step, score] of its present interval."""


class Donation(NamedTuple):
    """What may be copied: a checkpoint with its hparams and score; `label` says whose it is."""

    source: Checkpoint | Point
    hparams: Any
    score: Score | None
    label: str
    member: int | None = None


@dataclasses.dataclass(frozen=True)
class Evolution(Mutator):
    """The settings of every population based strategy, and how a member copies another one."""

    interval: float
    _: dataclasses.KW_ONLY
    explore: Explore = dataclasses.field(default_factory=Perturb)
    burn_in: float = 0
    time_unit: str = "steps"
    synchronous: bool = False
    patience: int | None = None
    elite: int = 1
    reference: int | None = None

    def __post_init__(self) -> None:
        check_interval(self.interval, self.burn_in, self.time_unit, self.name)
        check_explore(self.explore, f"{self.name}.explore")
        check_flag(self.synchronous, f"{self.name}.synchronous")
        check_patience(self.patience, self.name, synchronous=self.synchronous)
        check_count(self.elite, f"{self.name}.elite", 0)
        if self.reference is not None:
            check_count(self.reference, f"{self.name}.reference", 0)

    @property
    def rule(self) -> Exploit:
        """The exploit rule."""
        raise TypeError(f"{self.name} does not define rule")

    @property
    def rounds(self) -> Rounds:
        """The barrier, where the strategy is synchronous."""
        left_out = () if self.reference is None else (self.reference,)
        first = max(self.interval, self.burn_in)
        return Rounds(self.interval, self.time_unit, self.patience, first, left_out)

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for a population that is too small, or no way to explore."""
        check_space(self.explore, f"{self.name}.explore", space)
        if self.reference is not None and self.reference >= n_members:
            raise InvalidSetting(
                f"{self.name}.reference: got member {self.reference}, but the population has "
                f"members 0 to {n_members - 1}"
            )
        competing = n_members - (self.reference is not None)
        if competing < 2:
            but = "" if self.reference is None else " beside the reference member"
            raise InvalidSetting(
                f"{self.name}: got a population of {n_members}; give at least 2 members{but}"
            )
        if self.elite >= competing:
            raise InvalidSetting(
                f"{self.name}.elite: got {self.elite}, but only {competing} members compete; "
                "give less, or nobody is ever replaced"
            )

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where the function to explore with fails on `hparams`."""
        rehearse_explore(self.explore, f"{self.name}.explore", hparams, space)

    def init(self) -> MutatorState:
        """Nothing known of any member; `archive` are the best checkpoints so far, where wanted."""
        begun = self.rounds.begin() if self.synchronous else {}
        return {"members": {}, "archive": [], "model": {}, **begun}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """With every score on record, and what a former strategy of this kind knew: its best
        checkpoints, its model, and since when each member has been ready.
        """
        state, akin = self.init(), isinstance(former, Evolution)
        if isinstance(former, Evolution) and type(former.explore) is type(self.explore):
            state = {**state, "model": memory["model"]}
        if akin and self.rule.archived(2):
            state = {**state, "archive": memory["archive"]}
        if self.synchronous:
            state |= self.rounds.resume(view, former, memory)
        if not self._remembers:
            return state
        for m in view.members:
            before = known(memory, m.index) if akin else known(state, m.index)
            state = with_entry(state, m.index, self._resumed(before, m, former))
            for report in (e for e in m.evaluations if e.value is not None and not e.diverged):
                state = self._archived(state, view, m, report)
        return state

    def _resumed(self, before: Entry, m: MemberView, former: Mutator) -> Entry:
        """What is known of a member whose entry was `before`."""
        entry, same_clock = before, getattr(former, "time_unit", "") == self.time_unit
        if entry.get("generation") != m.generation or not same_clock:
            begun = clock_at_birth(self.time_unit, m)
            scores = up_to(entry["scores"], m.start_step)
            entry = {**entry, "generation": m.generation, "ready": begun, "scores": scores}
        for e in m.evaluations:
            if e.value is not None and not e.diverged:
                scores = self._with_score(entry["scores"], e.step, e.value)
                entry = {**entry, "scores": scores}
        return entry

    # -- what is known of a member
    def noted(self, state: MutatorState, view: View, me: MemberView) -> MutatorState:
        """The state with the report of `me`."""
        report = view.report
        assert report is not None
        if not self._remembers:
            return state
        entry = known(state, me.index)
        if entry.get("generation") != me.generation:
            entry = {**entry, **self._first_seen(entry, me)}
        score = None if report.diverged else view.goal.score(report)
        if score is not None:
            scores = self._with_score(entry["scores"], report.step, score)
            entry = {**entry, "scores": scores, "rescues": 0}
            state = self._archived(state, view, me, report)
        return with_entry(state, me.index, entry)

    @property
    def _remembers(self) -> bool:
        """Whether the state holds anything of the members; not where a round is all that counts."""
        return bool(
            not self.synchronous or self.rule.n_recent or self.rule.archived(2) or self._learns
        )

    @property
    def _learns(self) -> bool:
        return isinstance(self.explore, ExploreRule) and self.explore.learns

    def _first_seen(self, entry: Entry, me: MemberView) -> Entry:
        begun = {"steps": me.start_step, "seconds": 0.0, "epochs": entry.get("epochs", 0.0)}
        scores = up_to(entry["scores"], me.start_step)
        return {"generation": me.generation, "ready": begun[self.time_unit], "scores": scores}

    def _with_score(self, scores: Curve, step: int, value: Score) -> Curve:
        """Scores at any age where members of different age are compared, else the newest ones."""
        if not self.synchronous:
            return with_point(scores, step, value)
        known = {**scores, str(step): value}
        newest = sorted(map(int, known))[-max(1, self.rule.n_recent) :]
        return {str(at): known[str(at)] for at in newest}

    def recent(self, state: MutatorState, view: View, step: int | None) -> dict[int, list[Score]]:
        """By member, its newest scores up to `step`, oldest first."""
        wanted = self.rule.n_recent
        if not wanted:
            return {}
        goal = view.goal
        return {
            m.index: _newest(known(state, m.index), m, step, wanted, goal) for m in view.members
        }

    def _archived(
        self, state: MutatorState, view: View, me: MemberView, report: Evaluation
    ) -> MutatorState:
        """The state with this checkpoint in the archive, if it is one of the best so far."""
        size = self.rule.archived(len(view.members) - (self.reference is not None))
        saved = any(c.step == report.step for c in me.checkpoints)
        if not size or not saved or me.index == self.reference:
            return state
        mine = [view.goal.score(report), me.generation, report.step, me.hparams]
        entries = [e for e in state["archive"] if [e[1], e[2]] != mine[1:3]] + [mine]
        entries.sort(key=lambda e: (e[2], e[1]))  # ties must not depend on the order of arrival
        best = rank({i: e[0] for i, e in enumerate(entries)}, view.goal)
        first = {entries[i][1]: i for i in reversed(best)}  # by generation, its best one
        kept = [i for i in best if i in first.values()][:size]
        return {**state, "archive": [entries[i] for i in kept]}

    def learned(
        self, state: MutatorState, view: View, me: MemberView, step: int, score: float
    ) -> MutatorState:
        """The state after an interval of `me` that ended at `step` with `score` (see `merits`)."""
        if not isinstance(self.explore, ExploreRule) or not self._learns:
            return state
        entry = known(state, me.index)
        base, sign = entry["start"], view.goal.sign
        state = with_entry(state, me.index, {**entry, "start": [step, score]})
        if base is None or base[0] >= step or view.space is None:
            return state
        gain = sign * (score - base[1]) / (step - base[0])
        row = Row(base[0], step - base[0], sign * base[1], me.hparams, gain)
        return {**state, "model": self.explore.learned(state["model"], row, view.space)}

    # -- copying
    def copied(
        self,
        state: MutatorState,
        view: View,
        me: MemberView,
        copy: Copy,
        rng: random.Random,
        explore_rng: random.Random,
        *,
        step: int | None = None,
        taken: Sequence[Decision] = (),
    ) -> tuple[MutatorState, list[Decision]]:
        """The decision to copy one of `copy.donors`; none where nobody has a usable checkpoint.

        step: the age of `me` where donors are to be of that age; None takes their newest. `taken`
        are the decisions of this round so far.
        """
        offers = self._offers(state, view, me, copy, step)
        if not offers:
            return state, []
        offer = rng.choice(offers)
        at = offer.source.step
        past = self._past(state, view, me, offer, taken)
        hparams = explore(self.explore, offer.hparams, view.space, explore_rng, past)
        point = Point(offer.source.generation, at)
        decision = Decision(
            me.index, point, hparams, f"{copy.why}; copies {offer.label} at step {at} and explores"
        )
        if self._remembers:
            state = with_entry(state, me.index, self._inherited(state, view, me, offer))
        return state, [decision]

    def _offers(
        self, state: MutatorState, view: View, me: MemberView, copy: Copy, step: int | None
    ) -> list[Donation]:
        if not self.rule.archived(2):
            living = self._living(state, view, copy, step)
            setbacks = known(state, me.index)["setbacks"]
            if step is None or me.diverged or setbacks < MAX_SETBACKS:
                return living
            # Back to where its generation began it would train in a circle: for ever, where scores
            # fall or stand still and one worker trains one member after the other.
            return [offer for offer in living if offer.source.step > me.start_step]
        archive = [
            Donation(Point(generation, at), hparams, score, f"the best so far, {generation}")
            for score, generation, at, hparams in state["archive"]
        ]
        if archive and known(state, me.index)["setbacks"] < MAX_SETBACKS:
            return archive
        offers = [*archive, *self._living(state, view, copy, None)]
        ahead = [offer for offer in offers if offer.source.step >= me.step]
        return ahead or (offers if me.diverged else [])

    def _living(
        self, state: MutatorState, view: View, copy: Copy, step: int | None
    ) -> list[Donation]:
        offers = []
        for i in copy.donors:
            source = _source(view, i, step)
            if source is not None:
                score = value_at(known(state, i)["scores"], source.step)
                offers.append(Donation(source, view.members[i].hparams, score, f"member {i}", i))
        # Whoever was born a moment ago has its parent's scores, but hparams nobody has tried.
        proven = [o for o in offers if o.member is not None and view.members[o.member].latest]
        return proven or offers

    def _inherited(self, state: MutatorState, view: View, me: MemberView, offer: Donation) -> Entry:
        """What is known of `me` once it has become a copy."""
        entry, at, number = known(state, me.index), offer.source.step, _number(state, offer)
        if offer.member is None:
            scores: Curve = {} if offer.score is None else {str(at): offer.score}
        else:
            scores = up_to(known(state, offer.member)["scores"], at)
        inherited = {
            **entry,
            "scores": scores,
            "before_s": entry["before_s"] + me.train_s,
            "setbacks": entry["setbacks"] + (at < me.step),
            "start": None if number is None else [at, number],
        }
        if self.time_unit == "epochs" and offer.member is not None:
            inherited["epochs"] = clock("epochs", view.members[offer.member], at)
        return inherited

    def _past(
        self,
        state: MutatorState,
        view: View,
        me: MemberView,
        offer: Donation,
        taken: Sequence[Decision],
    ) -> Past | None:
        if not self._learns:
            return None
        sign, number = view.goal.sign, _number(state, offer)
        new = {d.member: d.hparams for d in taken}
        running = []
        for m in view.members:
            base = state["members"].get(str(m.index), {}).get("start")
            if m.index != me.index and m.status == "active" and base is not None:
                running.append((base[0], sign * base[1], new.get(m.index, m.hparams)))
        score = None if number is None else sign * number
        return Past(state["model"], view.mode, offer.source.step, score, running)

    def keeps(self, state: MutatorState) -> list[Point]:
        """The archive, and where the round began."""
        archive = [Point(generation, step) for _, generation, step, _ in state["archive"]]
        return [*archive, *(self.rounds.keeps(state) if self.synchronous else [])]

    def member_rng(self, rng: Rng, member: int, when: int) -> random.Random:
        """Draws of an exploit rule; others at each time, also where nothing was decided before."""
        return rng.member(member, f"exploit at {when}")


def known(state: MutatorState, member: int) -> Entry:
    """What the state holds of a member, as of one never seen where it holds nothing."""
    fresh: Entry = {"before_s": 0.0, "scores": {}, "rescues": 0, "setbacks": 0, "start": None}
    entry: Entry = state["members"].get(str(member), fresh)
    return entry


def with_entry(state: MutatorState, member: int, entry: Entry) -> MutatorState:
    """The state with another entry of the member."""
    return {**state, "members": {**state["members"], str(member): entry}}


def _number(state: MutatorState, offer: Donation) -> float | None:
    """What the offer's score counts for a rule that learns; of a vector, as it was last ranked."""
    if not isinstance(offer.score, list):
        return offer.score
    start = None if offer.member is None else known(state, offer.member)["start"]
    return None if start is None else float(start[1])


def _newest(entry: Entry, m: MemberView, step: int | None, wanted: int, goal: Goal) -> list[Score]:
    """Scores from the state, which holds the parent's too, and from this generation's reports."""
    points: dict[int, Score] = {int(at): value for at, value in entry["scores"].items()}
    found = ((e.step, goal.score(e)) for e in m.evaluations)
    points |= {step: score for step, score in found if score is not None}
    return [points[at] for at in sorted(points) if step is None or at <= step][-wanted:]


def _source(view: View, donor: int, step: int | None) -> Checkpoint | None:
    """Where to start from, as young as `step` if possible; None: nothing to train on."""
    m = view.members[donor]
    found = m.checkpoints or ((m.restart,) if m.restart else ())
    if view.total_steps is not None:
        found = tuple(c for c in found if c.step < view.total_steps)
    if step is None:
        return found[-1] if found else None
    young = [c for c in found if c.step <= step]
    return young[-1] if young else next(iter(found), None)
