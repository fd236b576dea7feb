"""Synchronous decisions of population based strategies: about all members, when a round is over."""

from fspop.mutators.base import Decision, MemberView, MutatorState, View
from fspop.mutators.evolution import Evolution
from fspop.mutators.exploit import Copy, Standing
from fspop.mutators.ranking import merits, rank, unranked
from fspop.objectives import Score
from fspop.seeds import Rng

Result = tuple[MutatorState, list[Decision]]


def decide(s: Evolution, state: MutatorState, view: View, rng: Rng) -> Result:
    """Decides once the last member of the round is ready, in whatever order they came."""
    me = view.members[view.reported] if view.reported is not None else None
    if me is not None and view.report is not None and view.report.generation == me.generation:
        state = s.noted(state, view, me)
    state = s.rounds.noticed(state, view)
    if not s.rounds.over(state, view):
        return state, []
    scores = s.rounds.scores(state, view)
    order = rank(scores, view.goal)
    if not order:
        return s.rounds.start_over(state, view, s.explore, rng)
    for i, number in merits(_ranked(scores, order), view.goal).items():
        state = s.learned(state, view, view.members[i], view.members[i].step, number)
    decisions: list[Decision] = []
    for m in s.rounds.members(state, view):
        copy = _choose(s, state, view, m, scores, order, rng)
        if copy is None or m.status != "active":
            continue
        stream = s.member_rng(rng, m.index, state["round"])
        explore_rng = rng.member(m.index, "explore")
        state, taken = s.copied(state, view, m, copy, stream, explore_rng, taken=decisions)
        decisions += taken
    return s.rounds.next(state, view, decisions), decisions


def _choose(
    s: Evolution,
    state: MutatorState,
    view: View,
    m: MemberView,
    scores: dict[int, Score | None],
    order: list[int],
    rng: Rng,
) -> Copy | None:
    if m.index not in scores or m.index in order[: s.elite]:
        return None
    where = f"round {state['round']}"
    if scores[m.index] is None:
        sign = s.rounds.divergence(state, m) or "failed"
        return Copy(s.rule.best(order), f"{where}: {sign}")
    if len(order) < 2:
        return None
    recent, n_last = s.recent(state, view, None), len(unranked(scores))
    ranked = _ranked(scores, order)
    standing = Standing(m.index, order, n_last, ranked, recent, view.mode, view.goal)
    copy = s.rule.choose(standing, rng.member(m.index, f"choose in {state['round']}"))
    return None if copy is None else copy._replace(why=f"{where}: {copy.why}")


def _ranked(scores: dict[int, Score | None], order: list[int]) -> dict[int, Score]:
    return {i: scores[i] or 0.0 for i in order}
