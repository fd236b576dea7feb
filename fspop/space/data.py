"""A space as plain data, and back."""

from collections.abc import Mapping
from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import check_plain
from fspop.space.domain import TAG, Domain
from fspop.space.floats import LogUniform, Uniform
from fspop.space.grid import Integer, Quantized
from fspop.space.options import Boolean, Choice, Ordinal
from fspop.space.when import WHEN, When

DOMAINS: dict[str, type[Domain]] = {
    cls.__name__: cls for cls in (Uniform, LogUniform, Integer, Quantized, Choice, Ordinal, Boolean)
}


def to_data(value: Any) -> Any:
    """A dict of a space, or what stands in one, as plain data."""
    if isinstance(value, Domain):
        return value.to_data()
    if isinstance(value, When):
        return {WHEN: value.parent, "values": list(value.values), "then": to_data(value.then)}
    if isinstance(value, Mapping):
        return {key: to_data(item) for key, item in value.items()}
    return check_plain(value, "constant")


def from_data(data: Any, where: str) -> Any:
    """What `to_data` described; InvalidSetting where the data is not such."""
    if not isinstance(data, Mapping):
        return data
    if WHEN in data:
        return _when(data, where)
    if TAG not in data:
        return {key: from_data(value, f"{where}.{key}") for key, value in data.items()}
    fields = {key: value for key, value in data.items() if key != TAG}
    try:
        return DOMAINS[data[TAG]](**fields)
    except (KeyError, TypeError) as error:
        known = ", ".join(DOMAINS)
        raise InvalidSetting(
            f"{where}: got {dict(data)!r}, which is no domain ({error}); known are {known}"
        ) from error


def _when(data: Mapping[str, Any], where: str) -> When:
    if data.keys() != {WHEN, "values", "then"}:
        raise InvalidSetting(
            f"{where}: got a condition with {sorted(data)}; it has {WHEN}, values and then"
        )
    return When(data[WHEN], data["values"], from_data(data["then"], where))
