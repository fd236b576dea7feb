"""Refuses settings that cannot work, in one line: which, what was got, what is wanted."""

import math
import numbers
from typing import Any

from fspop.errors import InvalidSetting


def refuse(owner: str, field: str, value: Any, wanted: str) -> InvalidSetting:
    """The error to raise for `owner.field`; it is also a ValueError."""
    message = f"{owner}.{field}: got {value!r}, but it must be {wanted}"
    return InvalidSetting(message, field=field, value=value)


def check_number(
    owner: str,
    field: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Returns `value` if it is a finite number within the given limits, else raises InvalidSetting.

    `least` and `most` are allowed themselves, `above` and `below` are not, booleans are no numbers.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    fits = (
        number
        and math.isfinite(value)
        and all(
            (
                least is None or value >= least,
                above is None or value > above,
                most is None or value <= most,
                below is None or value < below,
            )
        )
    )
    if not fits:
        limits = (("at least", least), ("above", above), ("at most", most), ("below", below))
        words = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
        wanted = ("a finite number " + " and ".join(words)).strip()
        raise refuse(owner, field, value, wanted)
    return float(value)


def check_whole(owner: str, field: str, value: Any, least: int = 0) -> int:
    """Returns `value` if it is a whole number of at least `least`, else raises InvalidSetting."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise refuse(owner, field, value, f"a whole number of at least {least}")
    return int(value)


def check_choice(owner: str, field: str, value: Any, choices: tuple[str, ...]) -> str:
    """Returns `value` if it is one of `choices`, else raises InvalidSetting."""
    if value not in choices:
        raise refuse(owner, field, value, "one of " + ", ".join(choices))
    return str(value)
