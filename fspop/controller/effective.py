"""What is in effect at a state: the settings a run was made with, and what people changed since."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from fspop.controller.claims import Claims
from fspop.controller.decide import Rules
from fspop.errors import ConfigurationError, InvalidSetting
from fspop.mutators.base import Mutator, MutatorState
from fspop.mutators.described import Find, build
from fspop.records import Manifest, Point, State, encode_json, in_effect
from fspop.space import Space


class InEffect(NamedTuple):
    """The manifest as changed, and what derives from it."""

    manifest: Manifest
    rules: Rules
    claims: Claims


@dataclasses.dataclass(frozen=True)
class Unasked(Mutator):
    """In the place of a strategy that a change does not concern: it is neither made nor asked."""

    def keeps(self, state: MutatorState) -> list[Point]:
        """Raises: then nothing is retired."""
        raise TypeError("only whoever has the strategy can say")


class Effective:
    """What is in effect at each state, made once for as long as it stays the same.

    `mutator` is the strategy the run was made with, `find` what else the experiment's code calls by
    a name. Shared by threads.
    """

    def __init__(
        self, manifest: Manifest, mutator: Mutator, space: Space | None, find: Find | None = None
    ):
        self._manifest = manifest
        self._original = mutator
        self._space = space
        self.find = find
        self._strategies: dict[bytes, Mutator] = {}
        self._last: tuple[State, InEffect] | None = None

    def at(self, state: State) -> InEffect:
        """What is in effect at `state`. Raises ConfigurationError where this process cannot have
        the strategy: a newer fspop or other code is needed.
        """
        last = self._last
        if last and last[0].settings is state.settings and last[0].strategy is state.strategy:
            return last[1]
        now = self._made(in_effect(self._manifest, state), self._strategy(state))
        self._last = (state, now)
        return now

    def _made(self, manifest: Manifest, mutator: Mutator) -> InEffect:
        budget_bytes = int(manifest.checkpoint_budget_gb * 1e9)
        rules = Rules(mutator, manifest.seed, self._space, manifest.total_steps, budget_bytes)
        lead = manifest.max_lead_steps
        claims = Claims(manifest.max_deaths, manifest.report_every if lead is None else lead)
        return InEffect(manifest, rules, claims)

    def strategy(self, data: Mapping[str, Any]) -> Mutator:
        """The strategy that `data` describes, as every process of the run makes it. Raises
        InvalidSetting.
        """
        key = encode_json(data)
        if key not in self._strategies:
            self._strategies[key] = build(data, self._original, self.find)
        return self._strategies[key]

    def _strategy(self, state: State) -> Mutator:
        if state.strategy is None or isinstance(self._original, Unasked):
            return self._original
        try:
            return self.strategy(state.strategy)
        except InvalidSetting as error:
            by = state.changes[-1].by if state.changes else "somebody"
            raise ConfigurationError(
                f"run {self._manifest.run}: its strategy was changed to "
                f"{state.strategy.get('name')} (last change by {by}), which this process "
                f"cannot make: {error.message}"
            ) from error
