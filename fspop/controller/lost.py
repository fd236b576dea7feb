"""A checkpoint that cannot be read: what its member starts from instead. Pure."""

from fspop.records import AnyOp, Born, Checkpoint, Lost, Member, MemberFailed, State
from fspop.storage.fold import apply

MAX_LOSSES = 10
"""So many unreadable checkpoints are no accident: then its member is given up."""


def lost_ops(state: State, member: int, checkpoint: Checkpoint, error: str) -> list[AnyOp]:
    """Takes `checkpoint`, from which `member` was to go on, out of use.

    The member goes on from its generation's checkpoint before that one, or from fresh parameters in
    a generation without a parent. Where it was the parent's checkpoint, a new generation with the
    same hparams begins from what came before it, else from the best one, else from nothing.
    """
    ops: list[AnyOp] = [Lost(checkpoint, error, member)]
    after = apply(state, ops, state.updated_at)
    found = after.members[member]
    if found.losses >= MAX_LOSSES:
        return [*ops, MemberFailed(member, f"{MAX_LOSSES} of its checkpoints were lost: {error}")]
    if found.generation.restart != checkpoint:
        return ops
    return [*ops, _replacement(after, found, checkpoint)]


def _replacement(state: State, member: Member, lost: Checkpoint) -> Born:
    fallback = member.generation.fallback
    earlier = [c for c in state.kept if c.generation == lost.generation and c.step <= lost.step]
    best = state.best.checkpoint if state.best else None
    origin = max(earlier, key=lambda c: (c.step, c.term), default=best)
    if fallback in state.kept and not earlier:
        origin = fallback
    source = f"{origin.generation} at step {origin.step}" if origin else "fresh parameters"
    reason = (
        f"the checkpoint of {lost.generation} at step {lost.step} is lost; "
        f"starts from {source} instead"
    )
    return Born(member.index, member.next_index, member.generation.hparams, origin, reason)
