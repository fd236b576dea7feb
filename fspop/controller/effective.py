"""What is in effect at a state: the settings a run was made with, and what people changed since."""

from typing import NamedTuple

from fspop.controller.claims import Claims
from fspop.controller.decide import Rules
from fspop.errors import ConfigurationError, InvalidSetting
from fspop.mutators.base import Mutator
from fspop.mutators.described import Find, build
from fspop.records import Manifest, State, encode_json, in_effect
from fspop.space import Space


class InEffect(NamedTuple):
    """The manifest as changed, and what derives from it."""

    manifest: Manifest
    rules: Rules
    claims: Claims


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
        self._find = find
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

    def _strategy(self, state: State) -> Mutator:
        if state.strategy is None:
            return self._original
        key = encode_json(state.strategy)
        if key not in self._strategies:
            try:
                self._strategies[key] = build(state.strategy, self._original, self._find)
            except InvalidSetting as error:
                by = state.changes[-1].by if state.changes else "somebody"
                raise ConfigurationError(
                    f"run {self._manifest.run}: its strategy was changed to "
                    f"{state.strategy.get('name')} (last change by {by}), which this process "
                    f"cannot make: {error.message}"
                ) from error
        return self._strategies[key]
