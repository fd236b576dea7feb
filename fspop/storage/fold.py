"""Folding: the state after a record, from the state before it. Pure, total, and free of strategy
code.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from fspop.errors import Damaged
from fspop.objectives import goal_of, with_point
from fspop.records import (
    KEPT_CHANGES,
    KEPT_EVALUATIONS,
    AnyOp,
    AttemptFailed,
    Best,
    Born,
    Change,
    Checkpoint,
    Claim,
    Claimed,
    Created,
    Evaluation,
    Finished,
    Generation,
    Joined,
    Left,
    Lost,
    Member,
    MemberFailed,
    MutatorChanged,
    MutatorFailed,
    Point,
    Record,
    Released,
    Reported,
    Retired,
    Retried,
    SettingsChanged,
    State,
    generation_id,
    parse_generation_id,
)


def fold(state: State, record: Record, digest: str) -> State:
    """The state after `record`, whose bytes have `digest`. The caller checked the predecessor."""
    state = apply(state, record.ops, record.time)
    return replace(state, seq=record.seq + 1, digest=digest, updated_at=record.time)


def apply(state: State, ops: Iterable[AnyOp], time: float) -> State:
    """The state after these operations, `seq` and `digest` unchanged."""
    for op in ops:
        state = _APPLY[type(op)](state, op, time)
    return state


def is_better(mode: str, value: float, than: float) -> bool:
    """Whether `value` is strictly better than `than` under mode min or max."""
    return value < than if mode == "min" else value > than


def _with_member(state: State, index: int, **changes: Any) -> State:
    members = list(state.members)
    members[index] = replace(_member(state, index), **changes)
    return replace(state, members=members)


def _member(state: State, index: int) -> Member:
    if not 0 <= index < len(state.members):
        raise Damaged(f"record {state.seq}: names member {index} of {len(state.members)}")
    return state.members[index]


def _created(state: State, op: Created, time: float) -> State:
    wanted = {"mode": op.mode, "keep_best": op.keep_best, "objectives": op.objectives}
    return replace(state, **wanted, created_at=time)


def _born(state: State, op: Born, time: float) -> State:
    generation = Generation(
        id=generation_id(op.member, op.index),
        member=op.member,
        index=op.index,
        hparams=op.hparams,
        origin=op.origin,
        fallback=op.fallback,
        reason=op.reason,
        step=op.origin.step if op.origin else 0,
        born_at=time,
    )
    if op.member == len(state.members):
        member = Member(index=op.member, generation=generation, next_index=op.index + 1)
        return replace(state, members=[*state.members, member])
    member = _member(state, op.member)
    former = member.generation
    state = _with_member(
        state,
        op.member,
        generation=generation,
        next_index=op.index + 1,
        status="active",
        trained_steps=member.trained_steps + former.step - former.start_step,
    )
    return replace(state, n_decisions=state.n_decisions + 1, mutator_error="", mutator_traceback="")


def _joined(state: State, op: Joined, time: float) -> State:
    before = state.workers.get(op.process.worker)
    if before is not None:
        state = _free_claims(state, before.incarnation, died=True)
    return replace(state, workers={**state.workers, op.process.worker: op.process})


def _left(state: State, op: Left, time: float) -> State:
    state = _free_claims(state, op.incarnation, died=op.died)
    process = state.workers.get(op.worker)
    if process is None or process.incarnation != op.incarnation:
        return state
    return replace(state, workers={w: p for w, p in state.workers.items() if w != op.worker})


def _free_claims(state: State, incarnation: str, *, died: bool) -> State:
    for member in state.members:
        if member.claim and member.claim.incarnation == incarnation:
            deaths = member.deaths + died
            state = _with_member(state, member.index, claim=None, deaths=deaths)
    return state


def _claimed(state: State, op: Claimed, time: float) -> State:
    claim = Claim(worker=op.worker, incarnation=op.incarnation, term=op.term)
    return _with_member(state, op.member, claim=claim, term=op.term)


def _released(state: State, op: Released, time: float) -> State:
    claim = _member(state, op.member).claim
    if claim is None or claim.term != op.term:
        return state
    return _with_member(state, op.member, claim=None)


def _reported(state: State, op: Reported, time: float) -> State:
    state = replace(state, n_evaluations=state.n_evaluations + (op.value is not None))
    parsed = parse_generation_id(op.generation)
    if parsed is None or parsed[0] >= len(state.members):
        raise Damaged(f"record {state.seq}: reports unknown generation {op.generation!r}")
    member = state.members[parsed[0]]
    if op.registered:
        state = _with_member(state, member.index, presented=Point(op.generation, op.step))
        member = state.members[member.index]
    if member.generation.id != op.generation:
        return state  # late: it stays in the history, and changes no decision
    generation = _with_evaluation(member.generation, op)
    if op.checkpoint and not op.registered:
        state = replace(state, kept=_with_checkpoint(state.kept, op.checkpoint))
        generation = _with_restart(generation, op.checkpoint)
        well = {"failures": 0, "deaths": 0, "error": "", "traceback": ""}
        state = _with_member(state, member.index, **well)
    state = _with_member(state, member.index, generation=generation, reported_at=time)
    return _with_best(state, generation, op)


def _with_evaluation(generation: Generation, op: Reported) -> Generation:
    has_score = op.value is not None or bool(op.diverged)
    old = {e.step: e for e in generation.evaluations}
    if op.step in old and (op.registered or not has_score):
        return generation
    old[op.step] = _evaluation(op)
    evaluations = [old[step] for step in sorted(old)][-KEPT_EVALUATIONS:]
    train_s = max(generation.train_s, op.train_s or 0.0)
    step = generation.step if op.registered else max(generation.step, op.step)
    return replace(generation, evaluations=evaluations, step=step, train_s=train_s)


def _evaluation(op: Reported) -> Evaluation:
    """What the state holds of a report: metrics that are lists stay in the history alone."""
    metrics = {name: value for name, value in op.metrics.items() if not isinstance(value, list)}
    return Evaluation(op.generation, op.step, op.value, metrics, op.diverged)


def _with_restart(generation: Generation, checkpoint: Checkpoint) -> Generation:
    """A restart point never moves back; the same step again takes the newer checkpoint."""
    last = generation.checkpoints[-1].step if generation.checkpoints else generation.start_step
    if checkpoint.step < last:
        return generation
    others = [c for c in generation.checkpoints if c.step != checkpoint.step]
    return replace(generation, checkpoints=[*others, checkpoint])


def _with_checkpoint(kept: list[Checkpoint], checkpoint: Checkpoint) -> list[Checkpoint]:
    return [*(c for c in kept if not _same(c, checkpoint)), checkpoint]


def _same(a: Checkpoint, b: Checkpoint) -> bool:
    return a.generation == b.generation and a.step == b.step and a.term == b.term


def _with_best(state: State, generation: Generation, op: Reported) -> State:
    value = op.value
    if value is None or op.diverged or not math.isfinite(value):
        return state
    found = next((c for c in generation.checkpoints if c.step == op.step), None)
    new = Best(_evaluation(op), generation.hparams, found)
    point = (op.generation, op.step)
    others = [b for b in state.leaders if (b.evaluation.generation, b.evaluation.step) != point]
    if state.objectives is None:
        ahead = sum(not is_better(state.mode, value, b.evaluation.value or 0.0) for b in others)
    else:
        goal = goal_of(state)
        if goal.score(new.evaluation) is None:  # it lacks a metric
            return state
        state = replace(
            state, front=with_point(state.front, new, goal, state.objectives.front_size)
        )
        ahead = sum(goal.place(new.evaluation) >= goal.place(b.evaluation) for b in others)
    leaders = [*others[:ahead], new, *others[ahead:]][: max(1, state.keep_best)]
    return replace(state, leaders=leaders)


def _retired(state: State, op: Retired, time: float) -> State:
    gone = {(c.generation, c.step, c.term) for c in op.checkpoints}
    kept = [c for c in state.kept if (c.generation, c.step, c.term) not in gone]
    for member in state.members:
        own = member.generation.checkpoints
        left = [c for c in own if (c.generation, c.step, c.term) not in gone]
        if len(left) < len(own):
            generation = replace(member.generation, checkpoints=left)
            state = _with_member(state, member.index, generation=generation)
    return replace(state, kept=kept)


def _lost(state: State, op: Lost, time: float) -> State:
    state = _retired(state, Retired([op.checkpoint]), time)
    leaders, front = (
        [
            replace(best, checkpoint=None)
            if best.checkpoint and _same(best.checkpoint, op.checkpoint)
            else best
            for best in found
        ]
        for found in (state.leaders, state.front)
    )
    state = _with_member(state, op.member, losses=state.members[op.member].losses + 1)
    return replace(state, leaders=leaders, front=front)


def _finished(state: State, op: Finished, time: float) -> State:
    return _with_member(state, op.member, status="finished")


def _attempt_failed(state: State, op: AttemptFailed, time: float) -> State:
    member = _member(state, op.member)
    held = member.claim is not None and member.claim.term == op.term
    return _with_member(
        state,
        op.member,
        claim=None if held else member.claim,
        failures=member.failures + 1,
        error=op.error,
        traceback=op.traceback,
        status="failed" if op.final else member.status,
    )


def _member_failed(state: State, op: MemberFailed, time: float) -> State:
    return _with_member(state, op.member, status="failed", error=op.error, claim=None)


def _retried(state: State, op: Retried, time: float) -> State:
    if 0 <= op.member < len(state.members) and state.members[op.member].status != "failed":
        return state
    return _with_member(state, op.member, status="active", failures=0, deaths=0, losses=0)


def _settings_changed(state: State, op: SettingsChanged, time: float) -> State:
    change = Change(time, op.by, op.asked, op.reason)
    state = replace(
        state,
        settings={**state.settings, **op.settings},
        strategy=state.strategy if op.mutator is None else op.mutator,
        changes=[*state.changes, change][-KEPT_CHANGES:],
        n_changes=state.n_changes + 1,
    )
    if "keep_best" in op.settings:
        keep_best = op.settings["keep_best"]
        state = replace(state, keep_best=keep_best, leaders=state.leaders[:keep_best])
    total_steps = op.settings.get("total_steps")
    for member in state.members:
        if total_steps and member.status == "finished" and member.generation.step < total_steps:
            state = _with_member(state, member.index, status="active")
    return state


def _mutator_changed(state: State, op: MutatorChanged, time: float) -> State:
    mutator = state.mutator
    for path, value in op.set:
        mutator = _set_path(mutator, path, value)
    for path in op.unset:
        mutator = _unset_path(mutator, path)
    return replace(state, mutator=mutator, mutator_error="", mutator_traceback="")


def _set_path(tree: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**tree, path[0]: value}
    return {**tree, path[0]: _set_path(tree.get(path[0], {}), path[1:], value)}


def _unset_path(tree: dict[str, Any], path: list[str]) -> dict[str, Any]:
    if len(path) == 1:
        return {key: value for key, value in tree.items() if key != path[0]}
    return {**tree, path[0]: _unset_path(tree.get(path[0], {}), path[1:])}


def _mutator_failed(state: State, op: MutatorFailed, time: float) -> State:
    return replace(
        state,
        mutator_error=op.error,
        mutator_traceback=op.traceback,
        mutator_error_seq=state.seq,
    )


_APPLY: dict[type, Callable[[State, Any, float], State]] = {
    Created: _created,
    Born: _born,
    Joined: _joined,
    Left: _left,
    Claimed: _claimed,
    Released: _released,
    Reported: _reported,
    Retired: _retired,
    Lost: _lost,
    Finished: _finished,
    AttemptFailed: _attempt_failed,
    MemberFailed: _member_failed,
    Retried: _retried,
    SettingsChanged: _settings_changed,
    MutatorChanged: _mutator_changed,
    MutatorFailed: _mutator_failed,
}
