"""A recipe as the text of a file: JSON, CSV, TOML 1.0 or Python."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from fspop.errors import InvalidSetting
from fspop.recipe.dotted import flat, key
from fspop.recipe.program import program
from fspop.recipe.recipe import Recipe


def write_recipe(recipe: Recipe, form: str) -> str:
    """The text, which ends with a line break. `form` is one of FORMS.

    Raises InvalidSetting for hparams that the form cannot hold (TOML has no None).
    """
    return FORMS[form](recipe)


def _json(recipe: Recipe) -> str:
    return msgspec.json.format(msgspec.json.encode(recipe), indent=2).decode() + "\n"


def _csv(recipe: Recipe) -> str:
    rows = [flat(segment.hparams) for segment in recipe.segments]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", *names])
    for segment, row in zip(recipe.segments, rows, strict=True):
        cells = [cell(row[name]) if name in row else "" for name in names]
        table.writerow([segment.step, *cells])
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as JSON; a text without quotes where it cannot be taken for something else."""
    if not isinstance(value, str) or value == "":
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value if value.isprintable() else json.dumps(value)
    return json.dumps(value)


def _toml(recipe: Recipe) -> str:
    facts = {name: getattr(recipe, name) for name in recipe.__struct_fields__ if name != "segments"}
    lines = [f"{name} = {_value(v, name)}" for name, v in facts.items() if v is not None]
    for segment in recipe.segments:
        lines += ["", "[[segments]]", f"step = {segment.step}"]
        where = f"hparams at step {segment.step}"
        if isinstance(segment.hparams, Mapping) and segment.hparams:
            lines += _table("segments.hparams", segment.hparams, where)
        else:
            lines.append(f"hparams = {_value(segment.hparams, where)}")
    return "\n".join(lines) + "\n"


def _table(name: str, hparams: Mapping[str, Any], where: str) -> list[str]:
    """A table, first its values, then the tables in it."""
    tables = {k: v for k, v in hparams.items() if isinstance(v, Mapping)}
    values = {k: v for k, v in hparams.items() if k not in tables}
    lines = [f"[{name}]"]
    lines += [f"{_key(k)} = {_value(v, f'{where}: {k}')}" for k, v in values.items()]
    for k, table in tables.items():
        lines += _table(f"{name}.{_key(k)}", table, f"{where}: {k}")
    return lines


def _key(name: str) -> str:
    return name if key(name) == name else _text(name)


def _value(value: Any, where: str) -> str:
    if value is None:
        raise InvalidSetting(f"{where}: got None, which TOML cannot hold; take another form")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inner = [f"{_key(k)} = {_value(v, f'{where}.{k}')}" for k, v in value.items()]
        return "{" + ", ".join(inner) + "}"
    return f"[{', '.join(_value(item, where) for item in value)}]"


def _text(text: str) -> str:
    """A basic string: JSON's, but for the one control character that only TOML escapes."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


FORMS = {"python": program, "json": _json, "csv": _csv, "toml": _toml}
"""What writes a recipe in each form."""
