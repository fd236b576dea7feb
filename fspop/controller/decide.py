"""From a report to operations: runs the mutator on the state the report leads to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import msgspec

from fspop.controller.patch import difference
from fspop.controller.retention import fallback_of, retirable
from fspop.controller.text import describe_error, writable
from fspop.errors import FspopError
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.objectives import goal_of
from fspop.records import (
    AnyOp,
    Born,
    Checkpoint,
    Evaluation,
    Finished,
    Member,
    MutatorChanged,
    MutatorFailed,
    Point,
    Reported,
    Retired,
    State,
    check_plain,
    generation_id,
)
from fspop.seeds import Rng
from fspop.space import Space
from fspop.storage.fold import apply


@dataclass(frozen=True)
class Rules:
    """What decisions depend on besides the state; the same in every process of a run."""

    mutator: Mutator
    seed: int
    space: Space | None = None
    total_steps: int | None = None
    budget_bytes: int | None = None

    def limits(self, state: State) -> list[int | None]:
        """By member, the step it must not train beyond for now; None without limit.

        A strategy that fails holds nobody: its members train on and each report asks it again.
        """
        if not state.mutator_error:
            view, memory = view_of(state, self), copied(state.mutator)
            try:
                wanted = [self.mutator.train_until(memory, view, m.index) for m in state.members]
                return [_lower(limit, self.total_steps) for limit in wanted]
            except Exception:  # the next report records it
                pass
        return [self.total_steps for _ in state.members]


def copied(plain: Any) -> Any:
    """A copy of plain data for user code, which may modify what it is given in spite of the rule:
    the folded state must stay what the log says.
    """
    return msgspec.to_builtins(plain)


def _lower(a: int | None, b: int | None) -> int | None:
    return min((limit for limit in (a, b) if limit is not None), default=None)


def view_of(
    state: State, rules: Rules, reported: int | None = None, report: Evaluation | None = None
) -> View:
    """The population as a strategy sees it."""
    members = tuple(_member_view(member) for member in state.members)
    return View(
        state.mode, members, reported, report, rules.space, rules.total_steps, goal_of(state)
    )


def _member_view(member: Member) -> MemberView:
    generation = member.generation
    return MemberView(
        index=member.index,
        generation=generation.id,
        hparams=copied(generation.hparams),
        start_step=generation.start_step,
        step=generation.step,
        train_s=generation.train_s,
        status=member.status,
        evaluations=tuple(generation.evaluations),
        checkpoints=tuple(generation.checkpoints),
        restart=generation.restart,
    )


def report_ops(state: State, rules: Rules, report: Reported) -> list[AnyOp]:
    """The report, what the mutator decides because of it, who finished, and what may be retired."""
    after = apply(state, [report], state.updated_at)
    decisions: list[AnyOp] = []
    member = next((m for m in state.members if m.generation.id == report.generation), None)
    if member is not None and not report.registered:
        evaluation = Evaluation(
            report.generation, report.step, report.value, report.metrics, report.diverged
        )
        decisions = mutator_ops(after, rules, member.index, evaluation)
    return [report, *with_consequences(after, rules, decisions)]


def with_consequences(state: State, rules: Rules, ops: list[AnyOp]) -> list[AnyOp]:
    """`ops`, then what follows from them: members that finish, checkpoints that may be retired."""
    after = apply(state, ops, state.updated_at)
    done = [Finished(m.index) for m in after.members if m.status == "active" and _ended(m, rules)]
    after = apply(after, done, state.updated_at)
    retired = [] if after.mutator_error else _retirable(after, rules)
    return [*ops, *done, *([Retired(retired)] if retired else [])]


def _retirable(state: State, rules: Rules) -> list[Checkpoint]:
    try:
        wanted = rules.mutator.keeps(copied(state.mutator))
        return retirable(state, wanted, rules.budget_bytes)
    except Exception:  # a strategy that cannot say what it keeps keeps everything
        return []


def _ended(member: Member, rules: Rules) -> bool:
    return rules.total_steps is not None and member.generation.step >= rules.total_steps


def mutator_ops(
    state: State,
    rules: Rules,
    reported: int | None = None,
    report: Evaluation | None = None,
    *,
    poll: bool = False,
) -> list[AnyOp]:
    """What the mutator makes of a report, of a member's failure (neither given) or of a poll.

    What user code raises in here becomes an operation too, so the report stands and the run goes
    on: calls of the mutator and the worker's loop are the only places that catch everything.
    """
    view = view_of(state, rules, reported, report)
    try:
        memory, births = decided(state, rules, view, poll=poll)
        return [*births, *changed_ops(state, memory)]
    except Exception as error:
        return [MutatorFailed(*describe_error(error))]


def decided(
    state: State, rules: Rules, view: View, *, poll: bool = False
) -> tuple[MutatorState, list[AnyOp]]:
    """What the mutator makes of `view`: its new state, and the generations that are born. Raises
    whatever user code raises.
    """
    rng = Rng(rules.seed, [member.next_index for member in state.members])
    decide = rules.mutator.on_poll if poll else rules.mutator.update
    memory, decisions = decide(copied(state.mutator), view, rng)
    memory = check_plain(memory, "mutator state")
    births = _births(state, rules, decisions)
    rules.mutator.keeps(memory)
    rules.mutator.train_until(memory, view, view.reported or 0)
    return memory, births


def changed_ops(state: State, memory: MutatorState) -> list[AnyOp]:
    """The change of the mutator's state to `memory`; one that is none says that it works again."""
    changed = difference(state.mutator, memory)
    if changed is None and state.mutator_error:
        changed = MutatorChanged()
    return [changed] if changed else []


def _births(state: State, rules: Rules, decisions: Sequence[Decision]) -> list[AnyOp]:
    births: dict[int, AnyOp] = {}
    for decision in sorted(decisions, key=lambda d: d.member):
        if not 0 <= index(decision.member) < len(state.members):
            raise FspopError(
                f"the mutator decided for member {decision.member}, which does not exist"
            )
        member = state.members[decision.member]
        if member.index in births:
            raise FspopError(f"the mutator decided twice for member {member.index}")
        if member.status != "active" or _ended(member, rules):
            continue
        what = f"hparams of {generation_id(member.index, member.next_index)}"
        hparams = check_plain(decision.hparams, what)
        origin = _resolve(state, decision)
        reason = writable(str(decision.reason))
        births[member.index] = Born(
            member.index, member.next_index, hparams, origin, reason, fallback_of(state, origin)
        )
    return list(births.values())


def _resolve(state: State, decision: Decision) -> Checkpoint | None:
    """The newest checkpoint at the point a decision names."""
    if decision.source is None:
        return None
    source = Point(*decision.source)
    found = [c for c in state.kept if c.point == source]
    if not found:
        raise FspopError(
            f"the mutator wants member {decision.member} to start from {source.generation} at step "
            f"{source.step}, but no checkpoint is kept there; choose one from the view"
        )
    return max(found, key=lambda c: c.term)
