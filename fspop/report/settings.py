"""Settings in words: as `fspop set` takes them, and what was changed of them when and by whom."""

import datetime
import json
from collections.abc import Mapping
from typing import Any


def flat_settings(data: Mapping[str, Any], where: str = "mutator") -> dict[str, Any]:
    """A strategy's description by dotted key: its name, then its settings."""
    found: dict[str, Any] = {where: data["name"]}
    for name, value in data["settings"].items():
        key = f"{where}.{name}"
        if isinstance(value, Mapping) and {"name", "settings"} <= set(value):
            found |= flat_settings(value, key)
        elif isinstance(value, Mapping) and set(value) == {"function"}:
            found[key] = value["function"]
        else:
            found[key] = value
    return found


def written(value: Any) -> str:
    """A value as one would give it on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def told(asked: Mapping[str, Any]) -> str:
    """What was asked for, as one would give it on the command line."""
    return " ".join(f"{key}={written(value)}" for key, value in asked.items())


def moment(seconds: float) -> str:
    """A time since 1970 for a reader."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")
