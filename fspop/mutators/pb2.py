"""PB2: truncation selection whose new hparams come from a model instead of random steps."""

import dataclasses

from fspop.mutators.bayesian import Bayesian
from fspop.mutators.explore import Explore
from fspop.mutators.truncation import TruncationSelection


@dataclasses.dataclass(frozen=True)
class PB2(TruncationSelection):
    """Population based bandits (Parker-Holder et al. 2020 and 2021, arXiv:2002.02518, 2106.15883).

    Truncation selection that explores with `Bayesian()`: numbers by a time-varying Gaussian process
    over what all members gained so far, categories by bandits. It wants few members and pays off
    where 4 to 8 is all there is. `Bayesian` goes with any other exploit rule as well.
    """

    fraction: float = 0.25
    explore: Explore = dataclasses.field(default_factory=Bayesian, kw_only=True)
