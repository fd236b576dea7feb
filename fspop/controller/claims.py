"""Who may train which member: joining, leaving, claiming, fencing. Pure, on the folded state."""

from collections.abc import Collection
from typing import NamedTuple

from fspop.controller.decide import Rules
from fspop.errors import DuplicateWorker, Fenced
from fspop.records import (
    AnyOp,
    Claimed,
    Joined,
    Left,
    Member,
    MemberFailed,
    Process,
    Released,
    State,
)
from fspop.storage.fold import apply


class Claims(NamedTuple):
    """The settings of a run that claims depend on."""

    max_deaths: int
    max_lead_steps: int


def join_ops(state: State, process: Process, dead: Collection[str], claims: Claims) -> list[AnyOp]:
    """`process` begins to work. Raises DuplicateWorker while its id belongs to one not known
    dead.
    """
    before = state.workers.get(process.worker)
    if before is not None and before.incarnation == process.incarnation:
        return []
    if before is not None and before.incarnation not in dead:
        raise duplicate(before)
    return _with_given_up(state, [Joined(process)], claims)


def duplicate(process: Process) -> DuplicateWorker:
    """The error for a worker id in use, naming who holds it."""
    return DuplicateWorker(
        f"worker {process.worker} is already running on {process.host}, process {process.pid}, "
        f"since {_utc(process.since)}; give this one another --id, or stop that one first",
        process=process,
    )


def _utc(seconds: float) -> str:
    import datetime

    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def bury_ops(state: State, dead: Collection[str], claims: Claims) -> list[AnyOp]:
    """The dead workers lose their claims; members whose workers died too often are given up."""
    gone: list[AnyOp] = [
        Left(process.worker, process.incarnation, died=True)
        for process in sorted(state.workers.values(), key=lambda p: p.worker)
        if process.incarnation in dead
    ]
    return _with_given_up(state, gone, claims) if gone else []


def _with_given_up(state: State, ops: list[AnyOp], claims: Claims) -> list[AnyOp]:
    after = apply(state, ops, state.updated_at)
    error = (
        f"its workers died {claims.max_deaths} times since its last checkpoint; "
        "look for out-of-memory kills in the system log of their hosts"
    )
    given_up = [
        MemberFailed(m.index, error)
        for m in after.members
        if m.status == "active" and m.deaths >= claims.max_deaths
    ]
    return [*ops, *given_up]


def claimable(state: State, rules: Rules) -> list[Member]:
    """The members that are free and may be trained now."""
    limits = rules.limits(state)
    return [
        member
        for member, limit in zip(state.members, limits, strict=True)
        if member.status == "active"
        and member.claim is None
        and (limit is None or member.generation.step < limit or _lacks_score(member))
    ]


def _lacks_score(member: Member) -> bool:
    """Whether the member stopped where a score is due without giving it: a worker that was asked to
    stop saves between two reports, and a strategy may then find that very step to be the limit.
    """
    generation = member.generation
    if not generation.checkpoints or generation.checkpoints[-1].step != generation.step:
        return False
    found = next((e for e in generation.evaluations if e.step == generation.step), None)
    return found is None or (found.value is None and not found.diverged)


def choose(free: list[Member], home: int | None, claims: Claims) -> Member | None:
    """The home member unless it leads the furthest behind by too much; ties go to home, then the
    lowest.
    """
    if not free:
        return None
    least = min(member.generation.step for member in free)
    for member in free:
        if member.index == home and member.generation.step - least <= claims.max_lead_steps:
            return member
    return min(free, key=lambda m: (m.generation.step, m.index))


def release_ops(state: State, incarnation: str) -> list[AnyOp]:
    """The releases of every member this worker process holds.

    For a process about to claim, which holds none as far as it knows: a claim whose commit ended in
    an error may have been recorded after all, and would keep its member from everybody.
    """
    return [
        Released(member.index, member.claim.term)
        for member in state.members
        if member.claim and member.claim.incarnation == incarnation
    ]


def claim_op(member: Member, process: Process) -> Claimed:
    """The claim under the member's next term."""
    return Claimed(member.index, member.term + 1, process.worker, process.incarnation)


def check_claim(state: State, member: int, term: int, incarnation: str) -> Member:
    """The member, if this worker process still holds it under `term`; else raises Fenced."""
    current = state.members[member]
    claim = current.claim
    if claim is None or claim.term != term or claim.incarnation != incarnation:
        holder = f"worker {claim.worker} (term {claim.term})" if claim else "nobody"
        raise Fenced(
            f"member {member}: term {term} is over, it is held by {holder} now; "
            "nothing was written",
            member=member,
        )
    return current
