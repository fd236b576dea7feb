"""What strategies reach on the toy problems by their papers and by independent implementations,
and the gate that an implementation has to pass.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from fspop.simulation.statistics import Spread


class Gate(NamedTuple):
    """What must hold over seeds. `of` is mean, median (then every seed needs a result too), or
    share: so large a `share` of the seeds must keep the limit.
    """

    of: str
    sign: str
    limit: float
    share: float = 1.0

    def __str__(self) -> str:
        limit = f"{'at least' if self.sign == '>=' else 'at most'} {self.limit:g}"
        if self.of == "share":
            return f"{limit} in {self.share:.0%} of the seeds"
        return f"{self.of} {limit}" + (", all solved" if self.of == "median" else "")

    def within(self, values: Sequence[float | None]) -> bool:
        """Whether these results pass; None is a seed without a result."""
        found = [value for value in values if value is not None]
        if self.of == "share":
            return sum(map(self._keeps, found)) >= self.share * len(values) - 1e-9
        if len(found) < len(values):
            return False
        summary = statistics.median if self.of == "median" else statistics.fmean
        return self._keeps(summary(found))

    def _keeps(self, value: float) -> bool:
        return value >= self.limit if self.sign == ">=" else value <= self.limit


class Published(NamedTuple):
    """Published figures: of the distribution over seeds, as far as they are known."""

    known: Spread
    gate: Gate | None = None


PBT_ON_QUADRATIC = {
    200: Published(Spread(mean=1.192, bad=1.178, worst=1.133)),
    400: Published(Spread(mean=1.2, worst=1.1999), Gate("share", ">=", 1.19, 0.95)),
    1000: Published(Spread(mean=1.2, worst=1.2)),
}
ALONE_ON_QUADRATIC = {
    200: Published(Spread(mean=0.3897)),
    400: Published(Spread(mean=0.39), Gate("share", "<=", 0.391)),
    1000: Published(Spread(mean=0.39)),
}
ON_TRIANGLE = Published(Spread(median=233, bad=305, worst=400), Gate("median", "<=", 300))
ON_PLAIN = Gate("mean", ">=", 1.1995)

FIGURES: dict[tuple[str, str], dict[int, Published]] = {
    **{
        ("quadratic", name): PBT_ON_QUADRATIC
        for name in ("TruncationSelection", "PopulationBased", "BinaryTournament")
    },
    ("quadratic", "RandomSearch"): ALONE_ON_QUADRATIC,
    ("triangle", "TruncationSelection"): {1000: ON_TRIANGLE},
    ("triangle", "PopulationBased"): {1000: ON_TRIANGLE},
    ("triangle", "RandomSearch"): {1000: Published(Spread(solved=0.27))},
    ("plain", "TruncationSelection"): {1000: Published(Spread(mean=1.1997), ON_PLAIN)},
    ("plain", "PopulationBased"): {1000: Published(Spread(mean=1.1997), ON_PLAIN)},
    ("plain", "WinnerTakeAllGenetic"): {1000: Published(Spread(mean=1.1997))},
    ("plain", "FIRE"): {1000: Published(Spread(mean=1.1997))},
    ("plain", "MultipleFrequencies"): {1000: Published(Spread(mean=1.1997))},
    ("plain", "RandomSearch"): {1000: Published(Spread(mean=1.1898, sd=0.0003))},
    ("deceptive", "TruncationSelection"): {
        1000: Published(Spread(mean=0.9151, sd=0.028), Gate("mean", "<=", 1.0))
    },
    ("deceptive", "PopulationBased"): {
        1000: Published(Spread(mean=0.9151, sd=0.028), Gate("mean", "<=", 1.0))
    },
    ("deceptive", "WinnerTakeAllGenetic"): {1000: Published(Spread(mean=0.8851, sd=0.0005))},
    ("deceptive", "FIRE"): {
        1000: Published(Spread(mean=1.1645, bad=1.148), Gate("mean", ">=", 1.14))
    },
    ("deceptive", "MultipleFrequencies"): {
        1000: Published(Spread(mean=1.1814, sd=0.0075, bad=1.175), Gate("mean", ">=", 1.17))
    },
    ("deceptive", "PB2"): {1000: Published(Spread(mean=0.935))},
    ("deceptive", "RandomSearch"): {1000: Published(Spread(mean=1.0452, sd=0.005))},
    ("deceptive", "Replay"): {1000: Published(Spread(mean=1.1979))},
}
"""By problem and strategy, by how many steps. Sources: arXiv:1711.09846 (figure 2) and
openreview.net/forum?id=3qmnxysNbi (section 5.2), as reached again with the settings of `settings`.
"""
