"""The facts a record states, tagged by `op`; folding them lives in `storage.fold`."""

from typing import Any

from msgspec import Struct

from fspop.records.words import Checkpoint, Objectives, Process


class Op(Struct, frozen=True, tag_field="op", omit_defaults=True, forbid_unknown_fields=True):
    """Base of the operations."""


class Created(Op, frozen=True, tag="created"):
    """The run begins: `n_members` members exist, and `mode` (min or max) says which values are
    better; `objectives` where one value does not say it all.
    """

    n_members: int
    mode: str
    keep_best: int = 1
    objectives: Objectives | None = None


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


class SettingsChanged(Op, frozen=True, tag="settings_changed"):
    """A person (`by`, as user@host) changed settings of a run under way; they override run.json.

    `asked` is what was given, by dotted key, and `reason` why, both for readers. `settings` are
    fields of the manifest; `mutator` is the strategy from now on, whole, None where it stays.
    """

    by: str
    asked: dict[str, Any]
    settings: dict[str, Any] = {}
    mutator: dict[str, Any] | None = None
    reason: str = ""


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
    | SettingsChanged
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
