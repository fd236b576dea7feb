"""Small checks that domains and explore rules share."""

import json
from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import is_number


def check_factors(factors: Any, where: str) -> None:
    """Raises InvalidSetting unless `factors` are two finite numbers above 0."""
    pair = isinstance(factors, tuple | list) and len(factors) == 2
    if not pair or not all(is_number(factor) and factor > 0 for factor in factors):
        raise InvalidSetting(f"{where}: got {factors!r}; give two numbers above 0, as (0.8, 1.2)")


def check_probability(value: Any, where: str) -> None:
    """Raises InvalidSetting unless `value` is a number from 0 to 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise InvalidSetting(f"{where}: got {value!r}, but a probability is a number from 0 to 1")


def as_json(value: Any) -> str:
    """Plain data as one string that tells 1, 1.0, True and "1" apart."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return ""  # no plain data, so equal to none
