"""What an evaluation is worth: a finite number, or the reason why it counts as diverged."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fspop.controller.text import writable

MAX_SERIES = 4096
"""How many numbers (the last ones) of a metric that is a list are recorded, e.g. of a curve."""


class Score(NamedTuple):
    """`value` None with a reason in `diverged`; `metrics` are what may be recorded as JSON.

    A metric that is a list of numbers is recorded as such, without those that are not finite.
    """

    value: float | None
    diverged: str
    metrics: dict[str, Any]


def read_score(result: Any, metric: str | None = None, needed: Sequence[str] = ()) -> Score:
    """Reads what evaluate() or a caller gave: a number, or a mapping whose `metric` is the score.

    A missing, None, non-numeric or non-finite score is recorded as diverged, with the reason; it is
    ranked last and never raises. So is one whose other `needed` metrics are not finite numbers.
    Without `metric`, a mapping of one entry is its own score.
    """
    score = _read(result, metric)
    given = result if isinstance(result, Mapping) else {}
    for name in needed if score.value is not None else ():
        if name not in given:
            return score._replace(value=None, diverged=_missing(name, score.metrics))
        diverged = _number(given[name], f"metric {name!r}")[1]
        if diverged:
            return score._replace(value=None, diverged=diverged)
    return score


def _read(result: Any, metric: str | None) -> Score:
    if not isinstance(result, Mapping):
        value, diverged = _number(result, "evaluate()")
        return Score(value, diverged, {})
    metrics = {writable(str(key)): _recordable(item) for key, item in result.items()}
    name = metric if metric is not None else (next(iter(metrics)) if len(metrics) == 1 else None)
    if name is None:
        return Score(
            None, f"evaluate() gave {sorted(metrics)}; set metric= to one of them", metrics
        )
    if name not in metrics:
        return Score(None, _missing(name, metrics), metrics)
    value, diverged = _number(result[name], f"metric {name!r}")
    return Score(value, diverged, metrics)


def _missing(name: str, metrics: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, metrics, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"metric {name!r} is missing from {sorted(metrics)}{hint}"


def _number(value: Any, what: str) -> tuple[float | None, str]:
    if value is None:
        return None, f"{what} is None"
    if isinstance(value, str | bytes):
        return None, f"{what} is the text {writable(str(value)[:40])!r}, not a number"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None, f"{what} is a {type(value).__name__}, not a number"
    if not math.isfinite(number):
        return None, f"{what} is {number}"
    return number, ""


def _recordable(value: Any) -> float | str | list[float] | None:
    if isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value):
        return [float(v) for v in value if math.isfinite(v)][-MAX_SERIES:]
    number, diverged = _number(value, "")
    return number if not diverged else writable(str(value)[:200])
