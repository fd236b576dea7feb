"""The documented schema of `fspop status --json`.

Within one `format` fields are added, never renamed. Times are seconds since 1970. Ages in seconds
compare the clock of whoever wrote with the reader's: for the eye, never for a decision.
"""

from typing import Any

from msgspec import Struct

from fspop.records import Claim

FORMAT = 1


class Place(Struct, frozen=True):
    """A generation at a step."""

    generation: str
    step: int


class BestStatus(Struct, frozen=True):
    """The best evaluation so far. `checkpoint` is an absolute path, None where none was saved."""

    value: float
    generation: str
    step: int
    hparams: Any
    checkpoint: str | None


class FrontPoint(Struct, frozen=True):
    """One checkpoint of the front. `violation` is 0 where it keeps to all constraints."""

    objectives: dict[str, float | None]
    violation: float
    generation: str
    step: int
    hparams: Any
    checkpoint: str | None


class FrontStatus(Struct, frozen=True):
    """The Pareto front: `points`, best in the first objective first, at most `limit`.

    While nothing keeps to the constraints (`feasible` false) it is what violates them least.
    `hypervolume` counts below the run's reference point; None where none was given.
    """

    size: int
    limit: int
    feasible: bool
    hypervolume: float | None
    points: list[FrontPoint]


class MemberStatus(Struct, frozen=True):
    """One member and its current generation.

    `status` is what the log says: active, finished or failed. `state` is the word for a reader: a
    holder's own word for what it does (training, restoring, saving, ...), or diverged, starting
    (claimed, and not yet in the heartbeat), worker silent, worker dead, waiting (for the others),
    free, finished, failed.

    `value` is the newest score, `best` the best one of this generation's newest 64; `diverged` says
    why the newest evaluation does not count. `step` is the last one reported, `live_step` where the
    holder says it is. `failures` and `deaths` count since the last checkpoint; `error` and
    `traceback` are the last failure's, until the next checkpoint. `objectives` are the newest
    values of what the run's objectives and constraints are on, `violation` by how much they
    violate the constraints (0: not at all); {} and None in a run with one value.
    """

    member: int
    generation: str
    status: str
    state: str
    step: int
    value: float | None
    best: float | None
    diverged: str
    hparams: Any
    parent: Place | None
    reason: str
    checkpoint: str | None
    train_s: float
    claim: Claim | None
    worker: str | None
    host: str | None
    heartbeat_age_s: float | None
    live_step: int | None
    steps_per_s: float | None
    failures: int
    deaths: int
    error: str
    traceback: str
    objectives: dict[str, float | None] = {}
    violation: float | None = None


class WorkerStatus(Struct, frozen=True):
    """One worker process that has joined and not left. `state`: alive, silent or dead (proven)."""

    worker: str
    incarnation: str
    state: str
    host: str
    pid: int
    since: float
    doing: str
    device: str
    member: int | None
    heartbeat_age_s: float | None
    versions: dict[str, str]


class ChangeStatus(Struct, frozen=True):
    """What somebody (user@host) changed in the run under way, by dotted key, and when."""

    time: float
    by: str
    asked: dict[str, Any]
    reason: str


class RunStatus(Struct, frozen=True):
    """A run at one moment.

    `state` is created (nothing recorded yet), training, idle (no live worker), finished, or failed
    (all members are).
    `records` counts transactions, `age_s` is the time since the last one. `failing` is the
    mutator's error while it fails. `space` holds the declared domains. `mutator` and
    `total_steps` are those in effect; `changed` counts the changes of settings (fspop set) so far,
    `changes` are the newest of them. `objectives`, `constraints` and `front` are
    empty in a run with one value.
    """

    format: int
    name: str
    dir: str
    run: str
    state: str
    mode: str
    seed: int
    total_steps: int | None
    finished: int
    failed: int
    records: int
    evaluations: int
    decisions: int
    created_at: float
    updated_at: float
    age_s: float
    fspop: str
    mutator: dict[str, Any]
    space: dict[str, Any]
    experiment: dict[str, Any] | None
    failing: str
    failing_traceback: str
    best: BestStatus | None
    members: list[MemberStatus]
    workers: list[WorkerStatus]
    changed: int = 0
    changes: list[ChangeStatus] = []
    objectives: dict[str, str] = {}
    constraints: list[str] = []
    front: FrontStatus | None = None
