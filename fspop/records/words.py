"""Words that operations and state share."""

from typing import Any, NamedTuple

from msgspec import Struct


class Point(NamedTuple):
    """A place in the lineage: a generation at a step."""

    generation: str
    step: int


class Checkpoint(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
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


class Evaluation(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A score of one generation at one step.

    `value` None with `diverged` empty: registered, the score comes later. `diverged` says why the
    score does not count (NaN, a missing metric, …); such an evaluation never wins.
    """

    generation: str
    step: int
    value: float | None = None
    metrics: dict[str, Any] = {}
    diverged: str = ""


class Objectives(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a run with several objectives, or with constraints, is after.

    modes: min or max by metric, in their order; empty where only constraints were given.
    constraints: as "latency_ms <= 20". ranking: crowding or hypervolume. reference: by metric, the
    worst value of interest. front_size: how many checkpoints the front holds at most.
    """

    modes: dict[str, str] = {}
    constraints: list[str] = []
    ranking: str = "crowding"
    reference: dict[str, float] = {}
    front_size: int = 32


class Process(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
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
