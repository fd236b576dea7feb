"""Keeps the command line quick to start.

Newer versions of typer send every argument through pydantic, whose import takes longer than all
else in `fspop status`; texts, paths and flags need no such help. A hack on one private name of
typer's: where it changes, commands only get slower.
"""

from pathlib import Path
from typing import Any


class Plain:
    """Reads one text, path or flag from the command line."""

    def __init__(self, kind: type):
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as `kind`, None where it was not given."""
        return None if value is None else self._kind(value)


class Light:
    """To be mixed into a command: its parameters, --help among them, do without pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
            if kind in (str, Path, bool) and param.nargs == 1 and not _is_list(param):
                param._runtime_param = Plain(kind)
        return params


def _is_list(param: Any) -> bool:
    return bool(getattr(param, "multiple", False))
