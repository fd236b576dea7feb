"""What a worker is told to train."""

import copy
from dataclasses import dataclass
from typing import Any

from fspop.records import Checkpoint, Member


@dataclass(frozen=True)
class Assignment:
    """A member's current generation and where its training goes on from.

    `params` is what was given to `set_eval` with that checkpoint (a path, or plain data); None
    means: begin with fresh parameters. `term` is 0 for callers that hold no claim. `train_until` is
    the step at which to wait for a decision, None without limit. `steps_before` plus a step is what
    the member has trained over all its generations, which never runs backwards. `report_every` and
    `total_steps` are the run's now, None for callers that hold no claim.
    """

    member: int
    generation_id: str
    step: int
    params: Any
    hparams: Any
    checkpoint: Checkpoint | None = None
    term: int = 0
    train_until: int | None = None
    train_s: float = 0.0
    steps_before: int = 0
    report_every: int | None = None
    total_steps: int | None = None

    @property
    def meta_params(self) -> Any:
        """The hparams, by the name the population library gives them."""
        return self.hparams

    @property
    def resumes(self) -> bool:
        """Whether the checkpoint is this generation's own (not its parent's, not a fresh start)."""
        return self.checkpoint is not None and self.checkpoint.generation == self.generation_id


def assignment(
    member: Member,
    term: int = 0,
    train_until: int | None = None,
    report_every: int | None = None,
    total_steps: int | None = None,
) -> Assignment:
    """The assignment that a member's current generation stands for."""
    generation = member.generation
    restart = generation.restart
    return Assignment(
        member=generation.member,
        generation_id=generation.id,
        step=restart.step if restart else 0,
        params=restart.params if restart else None,
        hparams=copy.deepcopy(generation.hparams),  # user code may change what it is given
        checkpoint=restart,
        term=term,
        train_until=train_until,
        train_s=generation.train_s,
        steps_before=member.trained_steps - generation.start_step,
        report_every=report_every,
        total_steps=total_steps,
    )
