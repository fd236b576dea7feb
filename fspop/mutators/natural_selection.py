"""Natural selection by bands: who is clearly below the mean copies one who is clearly above it."""

import dataclasses
import random
import statistics
from collections.abc import Sequence
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.exploit import Copy, Exploit, Standing
from fspop.mutators.population_based import PopulationStrategy
from fspop.mutators.ranking import merits
from fspop.records import is_number


@dataclasses.dataclass(frozen=True)
class Bands(Exploit):
    """Below the mean by more than a margin: copies a random one that is above it by the margin.

    The margin is the larger one of `deviations` standard deviations and `least`, a difference of
    scores; with several objectives, of the share of the others that one ranks above. With nobody
    above the upper band nobody is copied.
    """

    deviations: float = 0.1
    least: float = 0.0

    def __post_init__(self) -> None:
        check_bands(self.deviations, self.least, "Bands")

    def choose(self, standing: Standing, rng: random.Random) -> Copy | None:
        """The leaders, for whoever lags behind."""
        sign = standing.aim.sign
        numbers = merits({i: standing.scores[i] for i in standing.order}, standing.aim)
        ahead = {i: sign * numbers[i] for i in standing.order}
        mean = statistics.fmean(ahead.values())
        margin = max(self.deviations * statistics.pstdev(ahead.values()), self.least)
        leaders = [i for i in standing.order if ahead[i] > mean + margin]
        if not leaders or ahead[standing.me] >= mean - margin:
            return None
        score, rank = standing.shown(standing.me), "" if standing.aim.is_plain else "rank "
        mine = f"worse than the mean {rank}{sign * mean:.6g} by {margin:.3g} ({score})"
        return Copy(leaders, mine)

    def best(self, order: Sequence[int]) -> Sequence[int]:
        """The better half."""
        return order[: max(1, len(order) // 2)]


@dataclasses.dataclass(frozen=True)
class NaturalSelection(PopulationStrategy):
    """Bands of mean and deviation instead of fractions, as in Isaac Lab's population training.

    Members further than the margin above the mean are leaders, those further below it copy a random
    leader and explore; the band between goes on. The margin is `deviations` standard deviations
    or `least`, whichever is larger. The other settings are those of every PopulationStrategy.
    """

    deviations: float = 0.1
    least: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bands(self.deviations, self.least, "NaturalSelection")

    @property
    def rule(self) -> Exploit:
        """The bands."""
        return Bands(self.deviations, self.least)


def check_bands(deviations: Any, least: Any, name: str) -> None:
    """Raises InvalidSetting unless these are settings of bands."""
    for field, value in (("deviations", deviations), ("least", least)):
        if not is_number(value) or value < 0:
            raise InvalidSetting(f"{name}.{field}: got {value!r}; give a number of at least 0")
