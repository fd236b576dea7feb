"""How a benchmark shows its figures: a line each, with the bar it has to clear."""

import json
import sys
from typing import NamedTuple


class Figure(NamedTuple):
    """`bar` None: for information only. `at_most`: the value must not be above the bar."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True

    @property
    def passed(self) -> bool:
        if self.bar is None:
            return True
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def show(figures: list[Figure], as_json: bool) -> int:
    """Prints the figures; returns the exit code, 1 where a bar is missed."""
    if as_json:
        rows = [{**f._asdict(), "passed": f.passed} for f in figures]
        json.dump(rows, sys.stdout, indent=2)
        print()
        return int(not all(f.passed for f in figures))
    width = max(len(f.what) for f in figures)
    for f in figures:
        bar = (
            "" if f.bar is None else f"{'at most' if f.at_most else 'at least'} {f.bar:g} {f.unit}"
        )
        verdict = "" if f.bar is None else "ok" if f.passed else "MISSED"
        print(f"{f.what:<{width}}  {f.value:>10.4g} {f.unit:<4}  {bar:<18} {verdict}".rstrip())
    return int(not all(f.passed for f in figures))
