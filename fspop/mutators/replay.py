"""Replay: a schedule that is known to the whole, trained again."""

import dataclasses
from typing import Any, ClassVar

from fspop.errors import InvalidSetting
from fspop.mutators.fixed_schedule import FixedSchedule


@dataclasses.dataclass(frozen=True)
class Replay(FixedSchedule):
    """Trains every member with the schedule's hparams from step 0 on, each with its own seed.

    schedule: `{step: hparams}`, or pairs of the two, whole hparams each; the first step is 0. What
    `fspop schedule` writes reads back with `read_recipe(path).schedule`. The experiment needs
    neither a space nor first hparams, and those it has do not matter. Otherwise as FixedSchedule.
    """

    begun: ClassVar = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        first = self.pairs[0][0]
        if first != 0:
            raise InvalidSetting(
                f"Replay.schedule: got the first step {first}; begin with the hparams at step 0"
            )

    def first_hparams(self, given: Any) -> Any:
        """Those of step 0."""
        return self.pairs[0][1]
