"""Search spaces: domains, sampled and perturbed within their bounds, and nested dicts of them.

Random numbers come from the `random.Random` that is handed in and from nowhere else, so a seeded
stream always gives the same hparams. Domains never depend on each other here.
"""

from fspop.space.checks import check_factors, check_probability
from fspop.space.domain import FACTORS, Domain, Factors
from fspop.space.floats import LogUniform, Uniform
from fspop.space.grid import Integer, Quantized
from fspop.space.nested import RESAMPLE_PROBABILITY, Space
from fspop.space.options import Boolean, Choice, Ordinal

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
    "check_factors",
    "check_probability",
]
