"""The explore rule of PB2: a model of what hparams gained, in the place of random steps."""

import dataclasses
import random
import statistics
from typing import Any, ClassVar

from fspop.mutators.bandit import play
from fspop.mutators.checks import check_count
from fspop.mutators.coordinates import coordinates, domains_of, options_of, with_coordinates
from fspop.mutators.explore import ExploreRule, Past, Perturb, Row
from fspop.space import Space

LEAST_ROWS = 4
"""With less the rule perturbs."""


@dataclasses.dataclass(frozen=True)
class Bayesian(ExploreRule):
    """Proposes what a time-varying Gaussian process takes for most promising (PB2's explore rule).

    The model sees the newest `rows` intervals of all members: when, at what score, with which
    hparams, and what they gained per step. Categories are chosen first, by bandits that forget;
    numbers then, given those (PB2-Mix). The cost of a proposal does not grow with the run. Before
    the first few rows it perturbs. Parker-Holder et al. 2020, arXiv:2002.02518, and 2021,
    arXiv:2106.15883.
    """

    rows: int = 200
    learns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count(self.rows, f"{type(self).__name__}.rows", LEAST_ROWS)

    def learned(self, memory: dict[str, Any], row: Row, space: Space) -> dict[str, Any]:
        """The memory with one more row; the oldest goes where there are too many."""
        number = memory.get("next", 0)
        facts = [row.step, row.steps, row.score, row.gain, coordinates(space, row.hparams)]
        rows = {**memory.get("rows", {}), str(number): facts}
        for old in sorted(map(int, rows))[: -self.rows]:
            del rows[str(old)]
        return {"next": number + 1, "rows": rows}

    def apply(self, hparams: Any, space: Space, rng: random.Random, past: Past | None) -> Any:
        """The most promising hparams; perturbed ones while there is nothing to go by."""
        rows = past.memory.get("rows", {}) if past is not None else {}
        if past is None or past.score is None or len(rows) < LEAST_ROWS:
            return Perturb().apply(hparams, space, rng, past)
        seen = [rows[key] for key in sorted(rows, key=int)]
        gains = standardised([row[3] for row in seen])
        hparams = self._played(space, hparams, seen, gains, rng)
        here = coordinates(space, hparams)
        existing = [(i, d) for i, d in enumerate(domains_of(space)) if here[i] is not None]
        free = [i for i, domain in existing if not options_of(domain)]
        if free:
            from fspop.mutators.acquisition import most_promising  # numpy only once it is needed

            running = [(t, r, coordinates(space, h)) for t, r, h in past.running]
            kept = [i for i, _ in existing if i not in free]
            here = most_promising(here, free, kept, seen, gains, past, running, rng)
        return with_coordinates(space, hparams, here, rng)

    def _played(
        self, space: Space, hparams: Any, seen: list[Any], gains: list[float], rng: random.Random
    ) -> Any:
        """The hparams with the categories to try; a conditional one where those before allow it."""
        domains = domains_of(space)
        for i, options in enumerate(map(options_of, domains)):
            if not options or coordinates(space, hparams)[i] is None:
                continue
            rows = [(row[4][i], gain) for row, gain in zip(seen, gains, strict=True)]
            plays = [(round(option), gain) for option, gain in rows if option is not None]
            chosen: list[float | None] = [None] * len(domains)
            chosen[i] = play(len(options), plays, rng)
            hparams = with_coordinates(space, hparams, chosen, rng)
        return hparams


def standardised(gains: list[float]) -> list[float]:
    """Mean 0 and deviation 1, what is further off than 2 moved to 2."""
    mean, spread = statistics.fmean(gains), statistics.pstdev(gains)
    return [min(max((g - mean) / spread, -2.0), 2.0) if spread > 0 else 0.0 for g in gains]
