"""How a run stands: manifest, state and heartbeats put together. Pure."""

from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from fspop.objectives import goal_of
from fspop.records import Evaluation, Generation, Manifest, Member, State, in_effect
from fspop.report.best import best_status, checkpoint_path, front_status, objectives_of
from fspop.report.schema import (
    FORMAT,
    ChangeStatus,
    MemberStatus,
    Place,
    RunStatus,
    WorkerStatus,
)
from fspop.storage.fold import is_better
from fspop.storage.heartbeat import Heartbeat


class Observed(Struct, frozen=True):
    """What a reader saw beside the state.

    `now`: its clock. `beats`: heartbeats by incarnation. `dead`: incarnations proven dead.
    """

    root: Path
    now: float
    beats: Mapping[str, Heartbeat] = {}
    dead: Collection[str] = frozenset()


def describe(manifest: Manifest, state: State, seen: Observed) -> RunStatus:
    """The run's status."""
    manifest = in_effect(manifest, state)
    workers = _workers(manifest, state, seen)
    members = [_member(m, state, seen, workers) for m in state.members]
    root = seen.root.absolute()
    return RunStatus(
        format=FORMAT,
        name=root.name,
        dir=str(root),
        run=manifest.run,
        state=_run_state(state, workers),
        mode=manifest.mode,
        seed=manifest.seed,
        total_steps=manifest.total_steps,
        finished=sum(m.status == "finished" for m in members),
        failed=sum(m.status == "failed" for m in members),
        records=state.seq,
        evaluations=state.n_evaluations,
        decisions=state.n_decisions,
        created_at=state.created_at or manifest.created_at,
        updated_at=state.updated_at or manifest.created_at,
        age_s=_age(seen.now, state.updated_at or manifest.created_at),
        fspop=manifest.fspop,
        mutator=manifest.mutator,
        space=manifest.space,
        experiment=manifest.experiment,
        failing=state.mutator_error,
        failing_traceback=state.mutator_traceback,
        best=best_status(state, root),
        members=members,
        workers=list(workers.values()),
        changed=state.n_changes,
        changes=[ChangeStatus(c.time, c.by, c.asked, c.reason) for c in state.changes],
        objectives=state.objectives.modes if state.objectives else {},
        constraints=state.objectives.constraints if state.objectives else [],
        front=front_status(state, root),
    )


def _run_state(state: State, workers: Mapping[str, WorkerStatus]) -> str:
    if not state.members:
        return "created"
    if all(m.status == "failed" for m in state.members):
        return "failed"
    if all(m.status != "active" for m in state.members):
        return "finished"
    return "training" if any(w.state == "alive" for w in workers.values()) else "idle"


def _workers(manifest: Manifest, state: State, seen: Observed) -> dict[str, WorkerStatus]:
    """The workers by incarnation."""
    found = {}
    for process in sorted(state.workers.values(), key=lambda p: (len(p.worker), p.worker)):
        beat = seen.beats.get(process.incarnation)
        age_s = _age(seen.now, beat.time) if beat else None
        quiet_s = _age(seen.now, process.since) if age_s is None else age_s
        silent = "silent" if quiet_s > manifest.lease_timeout_s else "alive"
        found[process.incarnation] = WorkerStatus(
            worker=process.worker,
            incarnation=process.incarnation,
            state="dead" if process.incarnation in seen.dead else silent,
            host=process.host,
            pid=process.pid,
            since=process.since,
            doing=beat.doing if beat else "",
            device=beat.device if beat else "",
            member=beat.member if beat else None,
            heartbeat_age_s=age_s,
            versions=process.versions,
        )
    return found


def _member(
    member: Member, state: State, seen: Observed, workers: Mapping[str, WorkerStatus]
) -> MemberStatus:
    generation = member.generation
    worker = workers.get(member.claim.incarnation) if member.claim else None
    beat = seen.beats.get(member.claim.incarnation) if member.claim else None
    live = beat if beat and beat.generation == generation.id else None
    newest, goal = _newest(generation), goal_of(state)
    scored = newest if newest and not goal.is_plain and goal.score(newest) is not None else None
    return MemberStatus(
        member=member.index,
        generation=generation.id,
        status=member.status,
        state=_member_state(member, newest, worker, workers),
        step=generation.step,
        value=newest.value if newest and not newest.diverged else None,
        best=_best_value(generation, state.mode),
        diverged=newest.diverged if newest else "",
        hparams=generation.hparams,
        parent=Place(*generation.parent) if generation.parent else None,
        reason=generation.reason,
        checkpoint=checkpoint_path(generation.restart, seen.root),
        train_s=generation.train_s,
        claim=member.claim,
        worker=member.claim.worker if member.claim else None,
        host=worker.host if worker else None,
        heartbeat_age_s=worker.heartbeat_age_s if worker else None,
        live_step=live.step if live else None,
        steps_per_s=live.steps_per_s if live else None,
        failures=member.failures,
        deaths=member.deaths,
        error=member.error,
        traceback=member.traceback,
        objectives=objectives_of(goal, scored.metrics, scored.value) if scored else {},
        violation=goal.place(scored)[0] if scored else None,
    )


def _member_state(
    member: Member,
    newest: Evaluation | None,
    worker: WorkerStatus | None,
    workers: Mapping[str, WorkerStatus],
) -> str:
    if member.status != "active":
        return member.status
    if worker is not None and worker.state != "alive":
        return f"worker {worker.state}"
    if newest is not None and newest.diverged:
        return "diverged"
    if member.claim is None:
        # A worker with nothing to do would take it if it could be trained now.
        idle = any(w.doing == "waiting" and w.state == "alive" for w in workers.values())
        return "waiting" if idle else "free"
    return worker.doing if worker and worker.member == member.index and worker.doing else "starting"


def _newest(generation: Generation) -> Evaluation | None:
    scored = (e for e in reversed(generation.evaluations) if e.value is not None or e.diverged)
    return next(scored, None)


def _best_value(generation: Generation, mode: str) -> float | None:
    best: float | None = None
    for evaluation in generation.evaluations:
        value = None if evaluation.diverged else evaluation.value
        if value is not None and (best is None or is_better(mode, value, best)):
            best = value
    return best


def _age(now: float, then: float) -> float:
    return round(max(0.0, now - then), 3)
