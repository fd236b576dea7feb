"""Search spaces: domains, sampled and perturbed within their bounds, and nested dicts of them.

Random numbers come from the `random.Random` that is handed in and from nowhere else, so a seeded
stream always gives the same hparams. A `When` lets a place depend on the value of another one.
"""

from fspop.space.checks import check_factors, check_probability
from fspop.space.domain import FACTORS, Domain, Factors
from fspop.space.floats import LogUniform, Uniform
from fspop.space.grid import Integer, Quantized
from fspop.space.nested import RESAMPLE_PROBABILITY, Space
from fspop.space.options import Boolean, Choice, Ordinal
from fspop.space.when import When

__all__ = [
    "FACTORS",
    "RESAMPLE_PROBABILITY",
    "Boolean",
    "Choice",
    "Domain",
    "Factors",
    "Integer",
    "LogUniform",
    "Ordinal",
    "Quantized",
    "Space",
    "Uniform",
    "When",
    "check_factors",
    "check_probability",
]
