"""What a user's training must offer: five verbs, and what it is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Context:
    """What a task is told when a worker sets it up.

    `seed` derives from (run seed, member, generation): seed your own generators with it; the global
    ones (random, NumPy, torch) are seeded already. `device` is a torch device name. `data` is this
    host's data folder (`--data`, `$FSPOP_DATA`), None where not given; it is no part of the run.
    `step` is the step the task will stand at after `load_state_dict`, 0 for a fresh start.

    Where several processes train the member together (see docs/distributed.md), each has its own
    task; `rank` of `world_size` is this one, `local_rank` its number on this host. torch's default
    process group is up then.
    """

    member: int
    generation: str
    hparams: Any
    seed: int
    step: int = 0
    total_steps: int | None = None
    device: str = "cpu"
    data: str | None = None
    threads: int = 1
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0


class Task(Protocol):
    """A member's training, driven by a worker: setup, then load_state_dict where there is a
    checkpoint, then apply_hparams, then train and evaluate in turn.

    A task may also define `apply_hparams(hparams)`, called after every restore and whenever only
    the hparams change, and `effective_hparams() -> mapping`, which the worker compares with what
    was assigned. A task without `apply_hparams` takes its hparams from the context in `setup`. One
    that has to let something go (threads, processes) may define `close()`, the last verb.

    A task that several ranks can train together says so: `distributed = True` in its class.

    Everything that training changes must be in `state_dict()` (plain data and tensors): a task that
    went on and one that was restored from its checkpoint have to take the same next step. The
    global random state is saved beside it and need not be in there.
    """

    def setup(self, context: Context) -> None:
        """Builds model, optimizer and data. Called once on each new object."""

    def train(self, n_steps: int) -> None:
        """Trains exactly `n_steps` steps."""

    def evaluate(self) -> float | Mapping[str, float]:
        """A score, or metrics of which the experiment's `metric` is the score. Changes nothing
        that trains.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything training changes, as tensors and plain data. May alias live tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, perhaps from another member and other hparams."""
