"""The calls of a worker daemon: join, claim, report, poll, release, fail, leave."""

from typing import NamedTuple

from fspop.controller.assignment import Assignment, assignment
from fspop.controller.claims import (
    bury_ops,
    check_claim,
    choose,
    claim_op,
    claimable,
    join_ops,
    release_ops,
)
from fspop.controller.decide import mutator_ops, report_ops, with_consequences
from fspop.controller.liveness import Liveness
from fspop.controller.lost import lost_ops
from fspop.controller.population import PopulationController
from fspop.errors import Fenced
from fspop.records import (
    AnyOp,
    AttemptFailed,
    Checkpoint,
    Claimed,
    Left,
    MemberFailed,
    Process,
    Released,
    Reported,
    Retired,
    State,
)
from fspop.storage.base import Build
from fspop.storage.fold import apply


class Outcome(NamedTuple):
    """What became of a report.

    `next` is what to train now: the same generation, a new one, or another member (a higher term);
    None: nothing for now. `retired` are checkpoints whose folders may be deleted.
    """

    next: Assignment | None
    retired: list[Checkpoint]


class Workforce:
    """One worker process among the others of a run. Every call that changes something is one
    record.

    Raises Fenced wherever the claim it was called with is over; then nothing was written.
    """

    def __init__(self, controller: PopulationController, process: Process, liveness: Liveness):
        self.controller = controller
        self.process = process
        self.liveness = liveness
        self._home = int(process.worker) if process.worker.isdigit() else None

    @property
    def state(self) -> State:
        """The newest state."""
        return self.controller.log.refresh()

    def join(self) -> None:
        """Takes the worker id. Raises DuplicateWorker while its former process is not known
        dead.
        """

        def build(state: State) -> list[AnyOp]:
            dead = self.liveness.dead(state)
            ops = join_ops(state, self.process, dead, self.controller.in_effect(state).claims)
            return self._with_decision_if_given_up(state, ops)

        self._commit(build)

    def leave(self) -> None:
        """Gives the worker id and every claim back."""

        def build(state: State) -> list[AnyOp]:
            known = state.workers.get(self.process.worker)
            here = known is not None and known.incarnation == self.process.incarnation
            return [Left(self.process.worker, self.process.incarnation)] if here else []

        self._commit(build)

    def die(self) -> None:
        """As after a kill: the claims are over and a death is counted, only that nobody has to
        find out first.
        """

        def build(state: State) -> list[AnyOp]:
            claims = self.controller.in_effect(state).claims
            ops = bury_ops(state, {self.process.incarnation}, claims)
            return self._with_decision_if_given_up(state, ops)

        self._commit(build)

    def claim(self) -> Assignment | None:
        """A member to train, home or the one furthest behind; None while none is free. Idle calls
        are cheap.
        """
        state = self.controller.poll()
        held = release_ops(state, self.process.incarnation)
        if (
            not held
            and not self._dead(state)
            and not claimable(state, self.controller.rules(state))
        ):
            self._check_joined(state)
            return None
        return self._outcome(self._commit(self._claim_ops)).next

    def poll(self, held: Assignment) -> Assignment | None:
        """None to carry on with `held`, or the member's new generation."""
        state = self.controller.poll()
        member = check_claim(state, held.member, held.term, self.process.incarnation)
        if member.generation.id == held.generation_id:
            return None
        return self._assignment(state, held.member, held.term)

    def may_move_on(self, held: Assignment, step: int) -> bool:
        """Whether a report of `held` at `step` could move this worker on to another member."""
        state = self.state
        now = self.controller.in_effect(state)
        free = claimable(state, now.rules)
        least = min((member.generation.step for member in free), default=step)
        return step - least > now.claims.max_lead_steps

    def report(self, held: Assignment, report: Reported, *, may_move: bool = True) -> Outcome:
        """Records a report and what follows; moves on to another member where `held` waits or
        leads.
        """

        def build(state: State) -> list[AnyOp]:
            check_claim(state, held.member, held.term, self.process.incarnation)
            ops = report_ops(state, self.controller.rules(state), report)
            if not may_move:
                return ops
            buried = self._bury(apply(state, ops, state.updated_at))
            after = apply(state, [*ops, *buried], state.updated_at)
            return [*ops, *buried, *self._move_ops(after, held)]

        return self._outcome(self._commit(build), held)

    def lose(self, held: Assignment, error: str) -> Assignment | None:
        """Records that what `held` starts from cannot be read; returns what replaces it."""

        def build(state: State) -> list[AnyOp]:
            member = check_claim(state, held.member, held.term, self.process.incarnation)
            lost = held.checkpoint
            if lost is None or member.generation.restart != lost:
                return []  # a decision overtook it
            ops = lost_ops(state, held.member, lost, error)
            ops = self._with_decision_if_given_up(state, ops)
            return with_consequences(state, self.controller.rules(state), ops)

        state, _ = self._commit(build)
        if state.members[held.member].claim is None:
            return None
        return self._assignment(state, held.member, held.term)

    def release(self, held: Assignment) -> None:
        """Lets the member go; a claim that is over already is no error."""

        def build(state: State) -> list[AnyOp]:
            try:
                check_claim(state, held.member, held.term, self.process.incarnation)
            except Fenced:
                return []
            return [Released(held.member, held.term)]

        self._commit(build)

    def fail(self, held: Assignment, error: str, traceback: str) -> bool:
        """Records that the task raised and lets the member go; True if that was its last
        attempt.
        """

        def build(state: State) -> list[AnyOp]:
            member = check_claim(state, held.member, held.term, self.process.incarnation)
            final = member.failures + 1 >= self.controller.in_effect(state).manifest.max_attempts
            failed = AttemptFailed(held.member, held.term, error, traceback, final)
            return self._with_decision(state, [failed]) if final else [failed]

        state = self._commit(build)[0]
        return state.members[held.member].status == "failed"

    # -- building
    def _claim_ops(self, state: State) -> list[AnyOp]:
        self._check_joined(state)
        buried = [*release_ops(state, self.process.incarnation), *self._bury(state)]
        after = apply(state, buried, state.updated_at)
        now = self.controller.in_effect(state)
        member = choose(claimable(after, now.rules), self._home, now.claims)
        return [*buried, claim_op(member, self.process)] if member else buried

    def _move_ops(self, after: State, held: Assignment) -> list[AnyOp]:
        """Release and claim, where the held member ended, waits, or leads a free one by too much.

        A member that has just become a copy has to be restored anyway, so one that is no further
        is taken instead. Without that, a copy of a member that stands still is trained again and
        again, up to the step at which it is found to be the worst.
        """
        member = after.members[held.member]
        now = self.controller.in_effect(after)
        limit = now.rules.limits(after)[held.member]
        free = claimable(after, now.rules)
        stays = member.status == "active" and (limit is None or member.generation.step < limit)
        if stays:
            step = member.generation.step
            least = min((m.generation.step for m in free), default=step + 1)
            copied = member.generation.id != held.generation_id
            if step - least <= (-1 if copied else now.claims.max_lead_steps):
                return []
        ops: list[AnyOp] = [Released(held.member, held.term)]
        chosen = choose(free, self._home, now.claims)
        return [*ops, claim_op(chosen, self.process)] if chosen else ops

    def _bury(self, state: State) -> list[AnyOp]:
        """The dead lose their claims; a member that is given up may complete a round."""
        ops = bury_ops(state, self._dead(state), self.controller.in_effect(state).claims)
        return self._with_decision_if_given_up(state, ops)

    def _with_decision_if_given_up(self, state: State, ops: list[AnyOp]) -> list[AnyOp]:
        given_up = any(isinstance(op, MemberFailed) for op in ops)
        return self._with_decision(state, ops) if given_up else ops

    def _with_decision(self, state: State, ops: list[AnyOp]) -> list[AnyOp]:
        after = apply(state, ops, state.updated_at)
        ops = [*ops, *mutator_ops(after, self.controller.rules(state))]
        return with_consequences(state, self.controller.rules(state), ops)

    def _dead(self, state: State) -> set[str]:
        return self.liveness.dead(state) - {self.process.incarnation}

    def _check_joined(self, state: State) -> None:
        known = state.workers.get(self.process.worker)
        if known is None or known.incarnation != self.process.incarnation:
            raise Fenced(
                f"worker {self.process.worker}: others took this process for dead and its "
                "claims are over; it has to join again",
                worker=self.process.worker,
            )

    # -- committing
    def _commit(self, build: Build) -> tuple[State, list[AnyOp]]:
        committed = self.controller.log.commit(self.process.worker, build)
        return committed.state, (committed.record.ops if committed.record else [])

    def _outcome(
        self, committed: tuple[State, list[AnyOp]], held: Assignment | None = None
    ) -> Outcome:
        state, ops = committed
        retired = [c for op in ops if isinstance(op, Retired) for c in op.checkpoints]
        claimed = [op for op in ops if isinstance(op, Claimed)]
        if claimed:
            return Outcome(self._assignment(state, claimed[0].member, claimed[0].term), retired)
        released = any(isinstance(op, Released) for op in ops)
        if held is None or released:
            return Outcome(None, retired)
        return Outcome(self._assignment(state, held.member, held.term), retired)

    def _assignment(self, state: State, member: int, term: int) -> Assignment:
        now = self.controller.in_effect(state)
        limit = now.rules.limits(state)[member]
        every, total_steps = now.manifest.report_every, now.manifest.total_steps
        return assignment(state.members[member], term, limit, every, total_steps)
