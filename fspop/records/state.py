"""The folded state: what the operations of all records add up to."""

from typing import Any

from msgspec import Struct

from fspop.records.words import Checkpoint, Evaluation, Objectives, Point, Process

FORMAT = 1
KEPT_EVALUATIONS = 64
"""How many evaluations (the newest by step) the state holds for each live generation."""
KEPT_CHANGES = 32
"""How many changes of settings (the newest) the state holds."""


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """The right of one worker process to train a member, fenced by `term`."""

    worker: str
    incarnation: str
    term: int


class Generation(Struct, frozen=True, forbid_unknown_fields=True):
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


class Member(Struct, frozen=True, forbid_unknown_fields=True):
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


class Best(Struct, frozen=True, forbid_unknown_fields=True):
    """The best evaluation so far, with the checkpoint made at its step where there is one."""

    evaluation: Evaluation
    hparams: Any
    checkpoint: Checkpoint | None = None


class Change(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a person changed in a run under way: `asked`, by dotted key, `by` whom and when."""

    time: float
    by: str
    asked: dict[str, Any]
    reason: str = ""


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything decisions, resume and status need; folded from every record below `seq`. Never
    modified.

    `digest` is the last record's. `kept` holds the checkpoints whose directories must exist.
    `front` are the best evaluations where there are several `objectives`: none dominates another.
    `settings` and `strategy` are what people changed of the manifest (None: its mutator), `changes`
    the newest of those changes. Whoever does not know a field must not fold, so none is skipped.
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
    settings: dict[str, Any] = {}
    strategy: dict[str, Any] | None = None
    changes: list[Change] = []
    n_changes: int = 0
    leaders: list[Best] = []
    objectives: Objectives | None = None
    front: list[Best] = []
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
