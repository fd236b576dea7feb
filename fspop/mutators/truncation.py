"""Truncation selection: each member that is ready and among the worst copies one of the best."""

import dataclasses
import math
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.checks import check_count, check_seconds
from fspop.mutators.curves import up_to, value_at, with_point
from fspop.mutators.explore import Explore, Perturb, check_explore, check_space, explore
from fspop.mutators.ranking import rank
from fspop.records import Checkpoint, Evaluation
from fspop.seeds import Rng
from fspop.space import Space
from fspop.space.checks import is_number

FRUITLESS_RESCUES = 10
"""After so many rescues in a row that led to no score, a member is rescued no more."""

Entry = dict[str, Any]
"""What the state holds of a member: the `generation` it was last seen in, where that was `ready`
the last time, its seconds `before_s` this generation, its `scores`, and its `rescues` in a row."""


@dataclasses.dataclass(frozen=True)
class TruncationSelection(Mutator):
    """Asynchronous population based training (Jaderberg et al. 2017, arXiv:1711.09846).

    A member is ready when it reports a score `interval` after it was ready the last time. It is
    then compared with the others' newest scores at an equal or lower step. Among the worst
    `fraction` (at least one) it copies a random one of the best `fraction`, and explores from that
    one's hparams; else it goes on as it is. Fewer than two comparable members: no decision.

    fraction: above 0 and up to 0.5. explore: Perturb, or `f(hparams)` or `f(hparams, rng)`.
    burn_in: no comparing before a member has trained so much. time_unit: of interval and burn_in,
    "steps" or "seconds" of training.

    A member that diverged is replaced at that very report where somebody is healthy, whatever the
    interval and the burn-in, but at most ten times in a row without a score in between. Members
    that failed or diverged are nobody's parent. Nobody is replaced at its end.
    """

    interval: float
    fraction: float = 0.2
    explore: Explore = dataclasses.field(default_factory=Perturb)
    burn_in: float = 0
    time_unit: str = "steps"

    def __post_init__(self) -> None:
        if self.time_unit not in ("steps", "seconds"):
            raise InvalidSetting(
                f'TruncationSelection.time_unit: got {self.time_unit!r}; give "steps" or "seconds"'
            )
        if self.time_unit == "steps":
            check_count(self.interval, "TruncationSelection.interval", 1)
            check_count(self.burn_in, "TruncationSelection.burn_in", 0)
        else:
            check_seconds(self.interval, "TruncationSelection.interval")
            if self.burn_in != 0:
                check_seconds(self.burn_in, "TruncationSelection.burn_in")
        if not is_number(self.fraction) or not 0 < self.fraction <= 0.5:
            raise InvalidSetting(
                f"TruncationSelection.fraction: got {self.fraction!r}; "
                "give a number above 0 and up to 0.5"
            )
        check_explore(self.explore, "TruncationSelection.explore")

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for one member, which has nobody to copy, or no way to explore."""
        check_space(self.explore, "TruncationSelection.explore", space)
        if n_members < 2:
            raise InvalidSetting(
                f"TruncationSelection: got a population of {n_members}; give at least 2 members"
            )

    def init(self) -> MutatorState:
        """Nothing known of any member."""
        return {"members": {}}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for the member that reported, and for no other."""
        if view.reported is None or view.report is None:
            return state, []
        me = view.members[view.reported]
        if view.report.generation != me.generation:
            return state, []
        entry = self._entry(state, me, view.report)
        state = _with_entry(state, me.index, entry)
        if me.status != "active" or (view.total_steps is not None and me.step >= view.total_steps):
            return state, []
        if me.diverged:
            return self._rescue(state, view, me, rng)
        if view.report.value is None or not self._is_ready(entry, me):
            return state, []
        return self._compare(state, view, me, rng)

    def _entry(self, state: MutatorState, me: MemberView, report: Evaluation) -> Entry:
        """What is known of the member, this report included."""
        fresh: Entry = {"before_s": 0.0, "scores": {}, "rescues": 0}
        entry: Entry = state["members"].get(str(me.index), fresh)
        if entry.get("generation") != me.generation:
            entry = {
                **entry,
                "generation": me.generation,
                "ready": me.start_step if self.time_unit == "steps" else 0.0,
                "scores": up_to(entry["scores"], me.start_step),
            }
        if report.diverged or report.value is None or not math.isfinite(report.value):
            return entry
        scores = with_point(entry["scores"], report.step, report.value)
        return {**entry, "scores": scores, "rescues": 0}

    def _now(self, me: MemberView) -> float:
        return _evaluated_step(me) if self.time_unit == "steps" else me.train_s

    def _is_ready(self, entry: Entry, me: MemberView) -> bool:
        now = self._now(me)
        age = now if self.time_unit == "steps" else entry["before_s"] + now
        return bool(age >= self.burn_in and now - entry["ready"] >= self.interval)

    def _band(self, n: int) -> int:
        """How many of `n` are the best, or the worst."""
        return max(1, math.floor(self.fraction * n + 1e-9))

    def _compare(
        self, state: MutatorState, view: View, me: MemberView, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """The decision about a ready, healthy member."""
        step = _evaluated_step(me)
        order = rank(_scores(state, view, step), view.mode)
        if len(order) < 2 or me.index not in order:
            return state, []
        state = _with_entry(state, me.index, {**_known(state, me.index), "ready": self._now(me)})
        band = self._band(len(order))
        if me.index not in order[-band:]:
            return state, []
        why = f"ranked {order.index(me.index) + 1} of {len(order)} at step {step}"
        return self._copy(state, view, me, order[:band], why, rng)

    def _rescue(
        self, state: MutatorState, view: View, me: MemberView, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """The decision about a member that diverged."""
        entry = _known(state, me.index)
        if entry["rescues"] >= FRUITLESS_RESCUES:
            return state, []
        at_my_age = rank(_scores(state, view, _evaluated_step(me)), view.mode)
        order = at_my_age or rank(_scores(state, view, None), view.mode)
        sign = me.latest.diverged if me.latest else ""
        why = f"diverged at step {_evaluated_step(me)} ({sign})"
        counted = _with_entry(state, me.index, {**entry, "rescues": entry["rescues"] + 1})
        copied, decisions = self._copy(counted, view, me, order[: self._band(len(order))], why, rng)
        return (copied if decisions else state), decisions

    def _copy(
        self, state: MutatorState, view: View, me: MemberView, best: list[int], why: str, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """The decision to copy one of `best`; none where none of them has a usable checkpoint."""
        step = _evaluated_step(me)
        sources = {i: _source(view, i, step) for i in best}
        donors = [i for i in best if sources[i] is not None]
        if not donors:
            return state, []
        # Whoever was born a moment ago has its parent's scores, but hparams nobody has tried.
        proven = [i for i in donors if view.members[i].latest is not None]
        donor = rng.member(me.index, "exploit").choice(proven or donors)
        source = sources[donor]
        assert source is not None
        given, entry = _known(state, donor), _known(state, me.index)
        inherited = {
            **entry,
            "scores": up_to(given["scores"], source.step),
            "before_s": entry["before_s"] + me.train_s,
        }
        hparams = view.members[donor].hparams
        hparams = explore(self.explore, hparams, view.space, rng.member(me.index, "explore"))
        reason = f"{why}; copies member {donor} at step {source.step} and explores"
        decision = Decision(me.index, source.point, hparams, reason)
        return _with_entry(state, me.index, inherited), [decision]


def _known(state: MutatorState, member: int) -> Entry:
    entry: Entry = state["members"][str(member)]
    return entry


def _with_entry(state: MutatorState, member: int, entry: Entry) -> MutatorState:
    return {**state, "members": {**state["members"], str(member): entry}}


def _evaluated_step(me: MemberView) -> int:
    return me.latest.step if me.latest else me.step


def _scores(state: MutatorState, view: View, step: int | None) -> dict[int, float | None]:
    """The healthy members' newest scores at `step` or before, None: at any step."""
    return {
        m.index: value_at(_known(state, m.index)["scores"], step)
        for m in view.members
        if m.status != "failed" and not m.diverged and str(m.index) in state["members"]
    }


def _source(view: View, donor: int, step: int) -> Checkpoint | None:
    """Where to start from, as young as the member itself if possible; None: nothing to train on."""
    m = view.members[donor]
    found = m.checkpoints or ((m.restart,) if m.restart else ())
    if view.total_steps is not None:
        found = tuple(c for c in found if c.step < view.total_steps)
    young = [c for c in found if c.step <= step]
    return young[-1] if young else next(iter(found), None)
