"""`fspop ls`: the runs below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fspop.errors import FspopError, UsageError
from fspop.paths import RunPaths


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to look.", show_default="here")
    ] = Path("."),
) -> None:
    """List the runs below FOLDER.

    A line each; one that cannot be read says why.
    """
    if not folder.is_dir():
        raise UsageError(f"FOLDER: got {str(folder)!r}, but there is no such folder")
    found = False
    for root in runs_below(folder):
        found = True
        print(_line(root), flush=True)
    if not found:
        print(f"no runs below {folder}")


def runs_below(folder: Path) -> Iterator[Path]:
    """The run directories at and below `folder`, by name; nothing inside a run is looked at."""
    for where, folders, names in os.walk(folder):
        if RunPaths(where).manifest.name in names and RunPaths(where).log.is_dir():
            folders.clear()
            yield Path(where)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _line(root: Path) -> str:
    from fspop.cli.look import Watcher
    from fspop.report.text import age, number

    try:
        status = Watcher(root).look()
    except FspopError as error:
        return f"{root}  cannot be read: {error.message}"
    steps = [m.step for m in status.members] or [0]
    total = f" of {status.total_steps}" if status.total_steps else ""
    best = number(status.best.value) if status.best else "-"
    failed = f", {status.failed} failed" if status.failed else ""
    return (
        f"{root}  {status.state}{failed}  {len(status.members)} members  "
        f"steps {min(steps)}..{max(steps)}{total}  best {best}  last record {age(status.age_s)} ago"
    )
