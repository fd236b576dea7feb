"""Asynchronous decisions of population based strategies: about the member that just reported."""

from fspop.mutators.base import Decision, MemberView, MutatorState, View
from fspop.mutators.clocks import clock
from fspop.mutators.curves import value_at
from fspop.mutators.evolution import Evolution, known, with_entry
from fspop.mutators.exploit import Copy, Standing
from fspop.mutators.ranking import merits, rank
from fspop.mutators.rounds import ended
from fspop.objectives import Score
from fspop.seeds import Rng

FRUITLESS_RESCUES = 10
"""After so many rescues in a row that led to no score, a member is rescued no more."""

Result = tuple[MutatorState, list[Decision]]


def decide(s: Evolution, state: MutatorState, view: View, rng: Rng) -> Result:
    """Decides for the member that reported, and for no other."""
    if view.reported is None or view.report is None:
        return state, []
    me = view.members[view.reported]
    if view.report.generation != me.generation:
        return state, []
    state = s.noted(state, view, me)
    if me.status != "active" or ended(me, view) or me.index == s.reference:
        return state, []
    if me.diverged:
        return _rescue(s, state, view, me, rng)
    if view.report.value is None or not _is_ready(s, state, me):
        return state, []
    return _compare(s, state, view, me, rng)


def _now(s: Evolution, me: MemberView) -> float:
    return clock(s.time_unit, me, me.latest.step if me.latest else None)


def _is_ready(s: Evolution, state: MutatorState, me: MemberView) -> bool:
    entry, now = known(state, me.index), _now(s, me)
    age = entry["before_s"] + now if s.time_unit == "seconds" else now
    return bool(age >= s.burn_in and now - entry["ready"] >= s.interval)


def _compare(s: Evolution, state: MutatorState, view: View, me: MemberView, rng: Rng) -> Result:
    """The decision about a ready, healthy member."""
    step = _step(me)
    scores = _scores(s, state, view, step)
    # Who has just become a copy stands last until its own report: with its parent's score it would
    # push the next one down, and then the one after that, and at the end its parent.
    copies = {i for i in scores if scores[i] is not None and view.members[i].latest is None}
    order = [i for i in rank(scores, view.goal) if i not in copies]
    if len(order) < 2 or me.index not in order:
        return state, []
    state = with_entry(state, me.index, {**known(state, me.index), "ready": _now(s, me)})
    ranked = {i: score for i, score in scores.items() if i in order and score is not None}
    state = s.learned(state, view, me, step, merits(ranked, view.goal)[me.index])
    if me.index in order[: s.elite]:
        return state, []
    recent = s.recent(state, view, step)
    stream = s.member_rng(rng, me.index, step)
    standing = Standing(me.index, order, len(copies), ranked, recent, view.mode, view.goal)
    copy = s.rule.choose(standing, stream)
    if copy is None:
        return state, []
    copy = copy._replace(why=f"{copy.why} at step {step}")
    return s.copied(state, view, me, copy, stream, rng.member(me.index, "explore"), step=step)


def _rescue(s: Evolution, state: MutatorState, view: View, me: MemberView, rng: Rng) -> Result:
    """The decision about a member that diverged."""
    entry, step = known(state, me.index), _step(me)
    if entry["rescues"] >= FRUITLESS_RESCUES:
        return state, []
    at_my_age = rank(_scores(s, state, view, step), view.goal)
    order = at_my_age or rank(_scores(s, state, view, None), view.goal)
    sign = me.latest.diverged if me.latest else ""
    copy = Copy(s.rule.best(order), f"diverged at step {step} ({sign})")
    counted = with_entry(state, me.index, {**entry, "rescues": entry["rescues"] + 1})
    stream = s.member_rng(rng, me.index, step)
    explore_rng = rng.member(me.index, "explore")
    copied, decisions = s.copied(counted, view, me, copy, stream, explore_rng, step=step)
    return (copied if decisions else state), decisions


def _step(me: MemberView) -> int:
    return me.latest.step if me.latest else me.step


def _scores(
    s: Evolution, state: MutatorState, view: View, step: int | None
) -> dict[int, Score | None]:
    """The healthy members' newest scores at `step` or before, None: at any step."""
    return {
        m.index: value_at(known(state, m.index)["scores"], step)
        for m in view.members
        if m.status != "failed" and not m.diverged and m.index != s.reference
    }
