"""Checks of settings that several strategies have."""

from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import is_number


def check_count(value: Any, where: str, least: int) -> None:
    """Raises InvalidSetting unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidSetting(f"{where}: got {value!r}; give a whole number of at least {least}")


def check_seconds(value: Any, where: str) -> None:
    """Raises InvalidSetting unless `value` is a finite number above 0."""
    if not is_number(value) or value <= 0:
        raise InvalidSetting(f"{where}: got {value!r}; give a number of seconds above 0")


def check_flag(value: Any, where: str) -> None:
    """Raises InvalidSetting unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InvalidSetting(f"{where}: got {value!r}; give True or False")
