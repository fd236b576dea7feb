"""run.json: what a run was made with."""

from typing import Any

from msgspec import Struct


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
    objectives: dict[str, str] = {}
    constraints: list[str] = []
    ranking: str = "crowding"
    reference: dict[str, float] = {}
    front_size: int = 32
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
