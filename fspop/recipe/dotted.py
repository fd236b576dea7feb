"""Nested hparams as flat ones with dotted names, and back. Names with dots are quoted, as in
TOML.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\.|\Z)|([^".]+)(?:\.|\Z)')
WHOLE = "(hparams)"
"""The name of hparams that are no dict; no key is written so."""


def key(name: str) -> str:
    """A name as one part of a dotted one."""
    return name if BARE.match(name) else json.dumps(name, ensure_ascii=False)


def flat(hparams: Any) -> dict[str, Any]:
    """By dotted name; an empty dict stays a value."""
    if not isinstance(hparams, Mapping):
        return {WHOLE: hparams}
    found: dict[str, Any] = {}
    for name, value in hparams.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{key(name)}.{below}": v for below, v in flat(value).items()}
        else:
            found[key(name)] = value
    return found


def nested(values: Mapping[str, Any]) -> Any:
    """The hparams that `flat` made these of."""
    if list(values) == [WHOLE]:
        return values[WHOLE]
    found: dict[str, Any] = {}
    for dotted, value in values.items():
        *above, last = parts(dotted)
        place = found
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    return found


def parts(dotted: str) -> list[str]:
    """The names in a dotted one. Raises ValueError where it is none."""
    found, at = [], 0
    while at < len(dotted):
        match = _PART.match(dotted, at)
        if match is None:
            raise ValueError(f"{dotted!r} is no dotted name")
        found.append(match[2] if match[1] is None else json.loads(f'"{match[1]}"'))
        at = match.end()
    return found
