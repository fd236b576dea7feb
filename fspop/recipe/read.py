"""Reading a recipe back from a file."""

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from fspop.errors import ConfigurationError, InvalidSetting, UsageError
from fspop.recipe.dotted import nested
from fspop.recipe.recipe import FORMAT, Recipe, Segment


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a .json, .csv or .toml file, as `fspop schedule` writes it.

    A .py file is a program: import its SCHEDULE instead. Raises UsageError for another kind of
    file, ConfigurationError for one that cannot be read, InvalidSetting for what is no schedule.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        advice = "import its SCHEDULE" if path.suffix == ".py" else "give .json, .csv or .toml"
        raise UsageError(f"{path}: cannot read a recipe from such a file; {advice}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    try:
        recipe = _READERS[path.suffix](text)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InvalidSetting(f"{path}: not a recipe: {error}") from error
    return _checked(recipe, path)


def _checked(recipe: Recipe, path: Path) -> Recipe:
    steps = [segment.step for segment in recipe.segments]
    if recipe.format != FORMAT:
        raise InvalidSetting(f"{path}: written in format {recipe.format}; upgrade fspop")
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise InvalidSetting(f"{path}: got the steps {steps}; they must ascend from 0")
    return recipe


def _json(text: str) -> Recipe:
    return msgspec.json.decode(text, type=Recipe)


def _toml(text: str) -> Recipe:
    return msgspec.convert(tomllib.loads(text), Recipe)


def _csv(text: str) -> Recipe:
    first, *rows = csv.reader(io.StringIO(text, newline=""))
    if first[0] != "step":
        raise ValueError(f"its first column is {first[0]!r}, not 'step'")
    return Recipe(segments=[_segment(first, row) for row in rows if row])


def _segment(names: list[str], row: list[str]) -> Segment:
    step, *cells = row
    given = {n: _value(c) for n, c in zip(names[1:], cells, strict=True) if c != ""}
    return Segment(int(step), nested(given))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


_READERS = {".json": _json, ".csv": _csv, ".toml": _toml}
