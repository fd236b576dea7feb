"""The words of fspop as data: what a record says, what the folded state holds, what a manifest
fixes.

Everything here is plain data without I/O. Two families share the words: the *operations* a record
carries (facts, tagged by `op`) and the *state* that folding them gives. Folding lives in
`storage.fold`.
"""

import math
import re
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from fspop.errors import InvalidId, InvalidSetting

FORMAT = 1
KEPT_EVALUATIONS = 64
"""How many evaluations (the newest by step) the state holds for each live generation."""

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
_GENERATION = re.compile(r"m([0-9]{3,9})\.g([0-9]{4,9})\Z")


def check_id(value: str, what: str = "id") -> str:
    """Returns `value` if it may be used as an id (and so as part of a file name), else raises
    InvalidId.
    """
    if not isinstance(value, str) or not _ID.match(value):
        raise InvalidId(
            f"{what}: got {value!r}, but an id is 1 to 64 characters of A-Z a-z 0-9 . _ - "
            "and does not begin with a dot"
        )
    return value


def generation_id(member: int, index: int) -> str:
    """The name of a member's `index`-th generation: member 3's 7th is `m003.g0007`."""
    return f"m{member:03d}.g{index:04d}"


def parse_generation_id(value: object) -> tuple[int, int] | None:
    """(member, index) of a generation id in canonical form, None for anything else."""
    match = _GENERATION.match(value) if isinstance(value, str) else None
    if not match:
        return None
    member, index = int(match[1]), int(match[2])
    return (member, index) if generation_id(member, index) == value else None


def check_plain(value: Any, what: str) -> Any:
    """Returns `value` as it will read back from JSON; raises InvalidSetting if that would change
    it.

    Plain data is None, bool, int, float (finite), str, and lists and string-keyed dicts of those.
    Tuples become lists.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InvalidSetting(
                f"{what}: got {value}, an integer beyond 64 bits; use a float or a string"
            )
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidSetting(f"{what}: got {value}, but plain data has no NaN or infinity")
        return float(value)
    if isinstance(value, list | tuple):
        return [check_plain(item, f"{what}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidSetting(f"{what}: got the key {key!r}; keys of plain data are strings")
        return {key: check_plain(item, f"{what}.{key}") for key, item in value.items()}
    raise InvalidSetting(
        f"{what}: got {type(value).__name__}, but it must be plain data "
        "(numbers, strings, booleans, None, lists, dicts with string keys)"
    )


class Point(NamedTuple):
    """A place in the lineage: a generation at a step."""

    generation: str
    step: int


class Checkpoint(Struct, frozen=True, omit_defaults=True):
    """Where training may go on from. `params` is opaque: a path inside the run, or plain data."""

    generation: str
    step: int
    params: Any = None
    size_bytes: int = 0
    digest: str = ""
    term: int = 0

    @property
    def point(self) -> Point:
        """Its place in the lineage."""
        return Point(self.generation, self.step)


class Evaluation(Struct, frozen=True, omit_defaults=True):
    """A score of one generation at one step.

    `value` None with `diverged` empty: registered, the score comes later. `diverged` says why the
    score does not count (NaN, a missing metric, …); such an evaluation never wins.
    """

    generation: str
    step: int
    value: float | None = None
    metrics: dict[str, Any] = {}
    diverged: str = ""


class Process(Struct, frozen=True, omit_defaults=True):
    """Who a worker is, precise enough to prove on the same machine that it is dead."""

    worker: str
    incarnation: str
    host: str = ""
    boot: str = ""
    pid_namespace: str = ""
    pid: int = 0
    pid_start: int = 0
    since: float = 0.0
    versions: dict[str, str] = {}


# ---- operations: the facts a record states -------------------------------------------------------


class Op(Struct, frozen=True, tag_field="op", omit_defaults=True):
    """Base of the operations."""


class Created(Op, frozen=True, tag="created"):
    """The run begins: `n_members` members exist, and `mode` (min or max) says which values are
    better.
    """

    n_members: int
    mode: str
    keep_best: int = 1


class Born(Op, frozen=True, tag="born"):
    """A generation begins and is its member's current one from now on.

    `origin` is the checkpoint it starts from (its parent), None for one that starts from nothing;
    `fallback` the one to start from should that be damaged. `reason` is the mutator's sentence for
    a reader.
    """

    member: int
    index: int
    hparams: Any
    origin: Checkpoint | None = None
    reason: str = ""
    fallback: Checkpoint | None = None


class Joined(Op, frozen=True, tag="joined"):
    """A worker process begins; an earlier incarnation of the same worker loses its claims."""

    process: Process


class Left(Op, frozen=True, tag="left"):
    """A worker process is gone; its claims are free. `died`: not on purpose, others found it
    dead.
    """

    worker: str
    incarnation: str
    died: bool = False


class Claimed(Op, frozen=True, tag="claimed"):
    """`incarnation` trains `member` under `term`, which no holder before it had."""

    member: int
    term: int
    worker: str
    incarnation: str


class Released(Op, frozen=True, tag="released"):
    """The holder of `term` lets the member go."""

    member: int
    term: int


class Reported(Op, frozen=True, tag="reported"):
    """A generation reached a step: a checkpoint, an evaluation, or both.

    `train_s` counts this generation's seconds of training up to this step; None where unknown.
    `registered`: a worker merely presented this point when it was told to swap; it never replaces
    an evaluation and never moves the restart point.
    """

    generation: str
    step: int
    value: float | None = None
    metrics: dict[str, Any] = {}
    diverged: str = ""
    checkpoint: Checkpoint | None = None
    train_s: float | None = None
    registered: bool = False


class Retired(Op, frozen=True, tag="retired"):
    """These checkpoints are no longer needed; their directories may be deleted from now on."""

    checkpoints: list[Checkpoint]


class Lost(Op, frozen=True, tag="lost"):
    """The checkpoint `member` was to go on from is damaged or missing; nobody starts from it."""

    checkpoint: Checkpoint
    error: str
    member: int


class Finished(Op, frozen=True, tag="finished"):
    """The member reached the end of its training."""

    member: int


class AttemptFailed(Op, frozen=True, tag="attempt_failed"):
    """The task raised; the claim is released. `final`: the limit is reached, the member has
    failed.
    """

    member: int
    term: int
    error: str
    traceback: str = ""
    final: bool = False


class MemberFailed(Op, frozen=True, tag="member_failed"):
    """The member's workers died too often since its last checkpoint; it is given up."""

    member: int
    error: str


class Retried(Op, frozen=True, tag="retried"):
    """A person (`by`, as user@host) gives a failed member new attempts; it goes on where it was."""

    member: int
    by: str


class MutatorChanged(Op, frozen=True, tag="mutator_changed"):
    """The change of the mutator's state: values set at paths, then paths removed."""

    set: list[tuple[list[str], Any]] = []
    unset: list[list[str]] = []


class MutatorFailed(Op, frozen=True, tag="mutator_failed"):
    """The mutator raised while looking at this record's report, which stands without a decision."""

    error: str
    traceback: str = ""


AnyOp = (
    Created
    | Born
    | Joined
    | Left
    | Claimed
    | Released
    | Reported
    | Retired
    | Lost
    | Finished
    | AttemptFailed
    | MemberFailed
    | Retried
    | MutatorChanged
    | MutatorFailed
)


class Record(Struct, frozen=True):
    """One transaction. `previous` is the digest of the record before it; `time` is for readers
    only.
    """

    format: int
    seq: int
    txn: str
    previous: str
    time: float
    worker: str
    ops: list[AnyOp]


# ---- the folded state ----------------------------------------------------------------------------


class Claim(Struct, frozen=True):
    """The right of one worker process to train a member, fenced by `term`."""

    worker: str
    incarnation: str
    term: int


class Generation(Struct, frozen=True):
    """A live generation: its member's current one. Evaluations ascend by step."""

    id: str
    member: int
    index: int
    hparams: Any
    origin: Checkpoint | None = None
    fallback: Checkpoint | None = None
    reason: str = ""
    evaluations: list[Evaluation] = []
    checkpoints: list[Checkpoint] = []
    step: int = 0
    train_s: float = 0.0
    born_at: float = 0.0

    @property
    def start_step(self) -> int:
        """The step its training began at."""
        return self.origin.step if self.origin else 0

    @property
    def parent(self) -> Point | None:
        """Where it branched from; None for one that started from nothing."""
        return self.origin.point if self.origin else None

    @property
    def restart(self) -> Checkpoint | None:
        """The checkpoint training resumes from: its own newest, else its origin, else None."""
        return self.checkpoints[-1] if self.checkpoints else self.origin


class Member(Struct, frozen=True):
    """A slot of the population. `status` is active, finished or failed.

    `error` and `traceback` are those of its last failure, until the next checkpoint.
    `trained_steps` are those of its former generations: unlike a step, they never run backwards.
    """

    index: int
    generation: Generation
    next_index: int
    term: int = 0
    claim: Claim | None = None
    status: str = "active"
    failures: int = 0
    deaths: int = 0
    losses: int = 0
    error: str = ""
    traceback: str = ""
    trained_steps: int = 0
    presented: Point | None = None
    reported_at: float = 0.0


class Best(Struct, frozen=True):
    """The best evaluation so far, with the checkpoint made at its step where there is one."""

    evaluation: Evaluation
    hparams: Any
    checkpoint: Checkpoint | None = None


class State(Struct, frozen=True):
    """Everything decisions, resume and status need; folded from every record below `seq`. Never
    modified.

    `digest` is the last record's. `kept` holds the checkpoints whose directories must exist.
    """

    format: int = FORMAT
    mode: str = "min"
    seq: int = 0
    digest: str = ""
    members: list[Member] = []
    workers: dict[str, Process] = {}
    mutator: dict[str, Any] = {}
    kept: list[Checkpoint] = []
    keep_best: int = 1
    leaders: list[Best] = []
    n_evaluations: int = 0
    n_decisions: int = 0
    mutator_error: str = ""
    mutator_traceback: str = ""
    mutator_error_seq: int = -1
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def best(self) -> Best | None:
        """The best evaluation so far; of equal ones the first."""
        return self.leaders[0] if self.leaders else None


class Manifest(Struct, frozen=True):
    """run.json: what never changes in a run.

    `hparams` are the first ones, by member. `mutator` is {"name", "settings"}; `space` is the
    declared domains as data, {} where hparams come from elsewhere. `experiment` names file,
    attribute and digest of the code, None for a run that only uses the controller.
    """

    format: int
    run: str
    members: int
    mode: str
    seed: int
    hparams: list[Any]
    mutator: dict[str, Any]
    fspop: str
    created_at: float
    space: dict[str, Any] = {}
    experiment: dict[str, Any] | None = None
    total_steps: int | None = None
    report_every: int = 100
    metric: str | None = None
    max_lead_steps: int | None = None
    keep_best: int = 1
    checkpoint_budget_gb: float = 100.0
    tensorboard: bool = True
    threads: int = 1
    max_attempts: int = 3
    max_deaths: int = 20
    lease_timeout_s: float = 120.0
    stall_timeout_s: float = 900.0
    records_per_segment: int = 256


def encode_json(value: Any) -> bytes:
    """Compact JSON bytes of a struct or plain data."""
    return msgspec.json.encode(value)
