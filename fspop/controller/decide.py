"""From a report to operations: runs the mutator on the state the report leads to. Pure."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from fspop.controller.patch import difference
from fspop.controller.retention import retirable
from fspop.errors import FspopError
from fspop.mutators.base import Decision, MemberView, Mutator, View
from fspop.records import (
    AnyOp,
    Born,
    Checkpoint,
    Evaluation,
    Finished,
    Member,
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

TRACEBACK_LENGTH = 4000
"""How many characters of a user's traceback a record holds (the last ones)."""


@dataclass(frozen=True)
class Rules:
    """What decisions depend on besides the state; the same in every process of a run."""

    mutator: Mutator
    seed: int
    space: Space | None = None
    total_steps: int | None = None

    def limits(self, state: State) -> list[int | None]:
        """By member, the step it must not train beyond for now; None without limit.

        A strategy that fails holds nobody: its members train on and each report asks it again.
        """
        if state.mutator_error:
            return [self.total_steps for _ in state.members]
        view = view_of(state, self)
        wanted = (self.mutator.train_until(state.mutator, view, m.index) for m in state.members)
        return [_lower(limit, self.total_steps) for limit in wanted]


def _lower(a: int | None, b: int | None) -> int | None:
    return min((limit for limit in (a, b) if limit is not None), default=None)


def describe_error(error: BaseException) -> tuple[str, str]:
    """(one line, the end of the traceback) of an exception that user code raised."""
    text = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {text[0][:300] if text else ''}".rstrip(": ")
    return line, "".join(traceback.format_exception(error))[-TRACEBACK_LENGTH:]


def view_of(
    state: State, rules: Rules, reported: int | None = None, report: Evaluation | None = None
) -> View:
    """The population as a strategy sees it."""
    members = tuple(_member_view(member) for member in state.members)
    return View(state.mode, members, reported, report, rules.space, rules.total_steps)


def _member_view(member: Member) -> MemberView:
    generation = member.generation
    return MemberView(
        index=member.index,
        generation=generation.id,
        hparams=generation.hparams,
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
    ops: list[AnyOp] = [report]
    after = apply(state, ops, state.updated_at)
    member = next((m for m in state.members if m.generation.id == report.generation), None)
    if member is not None and not report.registered:
        evaluation = Evaluation(
            report.generation, report.step, report.value, report.metrics, report.diverged
        )
        ops += mutator_ops(after, rules, member.index, evaluation)
    return with_consequences(state, rules, ops)


def with_consequences(state: State, rules: Rules, ops: list[AnyOp]) -> list[AnyOp]:
    """`ops`, then what follows from them: members that finish, checkpoints that may be retired."""
    after = apply(state, ops, state.updated_at)
    done = [Finished(m.index) for m in after.members if m.status == "active" and _ended(m, rules)]
    after = apply(after, done, state.updated_at)
    retired = retirable(after, rules.mutator.keeps(after.mutator))
    return [*ops, *done, *([Retired(retired)] if retired else [])]


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
    on: this and the worker's loop are the only places that catch everything.
    """
    view = view_of(state, rules, reported, report)
    rng = Rng(rules.seed, [member.next_index for member in state.members])
    decide = rules.mutator.on_poll if poll else rules.mutator.update
    try:
        new_state, decisions = decide(state.mutator, view, rng)
        changed = difference(state.mutator, check_plain(new_state, "mutator state"))
        births = _births(state, rules, decisions)
    except Exception as error:
        return [MutatorFailed(*describe_error(error))]
    return [*births, *([changed] if changed else [])]


def _births(state: State, rules: Rules, decisions: Sequence[Decision]) -> list[AnyOp]:
    births: list[AnyOp] = []
    for decision in sorted(decisions, key=lambda d: d.member):
        if not 0 <= decision.member < len(state.members):
            raise FspopError(
                f"the mutator decided for member {decision.member}, which does not exist"
            )
        member = state.members[decision.member]
        if member.status != "active" or _ended(member, rules):
            continue
        index = member.next_index
        what = f"hparams of {generation_id(member.index, index)}"
        hparams = check_plain(decision.hparams, what)
        origin = _resolve(state, decision)
        births.append(Born(member.index, index, hparams, origin, decision.reason))
    return births


def _resolve(state: State, decision: Decision) -> Checkpoint | None:
    """The newest checkpoint at the point a decision names."""
    if decision.source is None:
        return None
    source = Point(*decision.source)
    own = [c for m in state.members for c in m.generation.checkpoints]
    origins = [m.generation.origin for m in state.members if m.generation.origin]
    found = [c for c in [*origins, *state.kept, *own] if c.point == source]
    if not found:
        raise FspopError(
            f"the mutator wants member {decision.member} to start from {source.generation} at step "
            f"{source.step}, but no checkpoint is kept there; choose one from the view"
        )
    return max(found, key=lambda c: c.term)
