"""A fixed schedule: hparams that are known beforehand, by step."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, Mutator, MutatorState, View
from fspop.mutators.checks import check_count
from fspop.records import check_plain
from fspop.seeds import Rng
from fspop.space import Space

Schedule = Mapping[int, Any] | Sequence[tuple[int, Any]]


@dataclasses.dataclass(frozen=True)
class FixedSchedule(Mutator):
    """Each member gets the schedule's hparams at its steps; the population library's strategy.

    schedule: `{step: hparams}`, or pairs of the two; steps are 0 or more. A key rules from the
    first checkpoint at or after it: a new generation with the same weights begins there. Of several
    keys that are due the largest rules, and the skipped ones are named in the reason. Until the
    first key is due, the hparams the run began with rule. Several members follow it side by side.
    """

    schedule: Schedule
    begun: ClassVar = -1  # the key whose hparams members begin with; -1: none

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", _read(self.schedule, f"{self.name}.schedule"))

    @property
    def pairs(self) -> tuple[tuple[int, Any], ...]:
        """The schedule, ascending."""
        return cast(tuple[tuple[int, Any], ...], self.schedule)  # as __post_init__ left it

    def init(self) -> MutatorState:
        """No key is used yet; `used` holds the last one by member."""
        return {"used": {}}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """With the keys that a former schedule used, where they say the same in this one."""
        if not isinstance(former, FixedSchedule):
            return self.init()
        old, new = dict(former.pairs), dict(self.pairs)
        used = memory["used"]
        return {"used": {m: k for m, k in used.items() if k in new and old.get(k) == new[k]}}

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for hparams that the space does not have."""
        for step, hparams in self.pairs:
            if space is not None and not space.contains(hparams):
                raise InvalidSetting(
                    f"{self.name}.schedule[{step}]: got {hparams!r}, which the space does not "
                    "allow; give all of its hparams, inside their bounds"
                )

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for the member that reported, if a key has become due."""
        if view.reported is None:
            return state, []
        me = view.members[view.reported]
        ended = view.total_steps is not None and me.step >= view.total_steps
        if me.status != "active" or ended or not me.checkpoints:
            return state, []
        source = me.checkpoints[-1]
        due = [pair for pair in self._ahead(state, me.index) if pair[0] <= source.step]
        if not due:
            return state, []
        key, hparams = due[-1]
        state = {**state, "used": {**state["used"], str(me.index): key}}
        reason = f"schedule: step {key} is due at step {source.step}"
        if due[:-1]:
            reason += f", skipping {', '.join(str(skipped) for skipped, _ in due[:-1])}"
        return state, [Decision(me.index, source.point, hparams, reason)]

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The next key, so that it rules from exactly there."""
        step = view.members[member].step
        return next((key for key, _ in self._ahead(state, member) if key > step), None)

    def _ahead(self, state: MutatorState, member: int) -> list[tuple[int, Any]]:
        used = state["used"].get(str(member), self.begun)
        return [(key, hparams) for key, hparams in self.pairs if key > used]


def _read(schedule: Any, where: str) -> tuple[tuple[int, Any], ...]:
    """The schedule as ascending pairs."""
    pairs = list(schedule.items()) if isinstance(schedule, Mapping) else schedule
    if not isinstance(pairs, list | tuple) or not pairs:
        raise InvalidSetting(f"{where}: got {schedule!r}; give {{step: hparams}} with a first step")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InvalidSetting(f"{where}: got {pair!r}; give pairs of a step and hparams")
        check_count(pair[0], f"{where}: a step", 0)
    steps = [step for step, _ in pairs]
    if len(set(steps)) < len(steps):
        raise InvalidSetting(f"{where}: got the steps {sorted(steps)!r}; give each step once")
    return tuple(
        (step, check_plain(hparams, f"{where}[{step}]"))
        for step, hparams in sorted(pairs, key=lambda pair: pair[0])
    )
