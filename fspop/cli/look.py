"""Reading how a run stands, and showing it where a person watches. Imports neither torch nor
numpy.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fspop.paths import RunPaths
from fspop.report import text
from fspop.report.schema import RunStatus
from fspop.report.status import Observed, describe
from fspop.storage import open_log, read_manifest
from fspop.storage.heartbeat import read_heartbeats
from fspop.storage.process import is_proven_dead

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {
    "training": "green",
    "finished": "blue",
    "waiting": "dim",
    "free": "dim",
    "diverged": "yellow",
    "worker silent": "yellow",
    "worker dead": "red",
    "failed": "bold red",
}


class Watcher:
    """Reads one run again and again; what it read before is not read again."""

    def __init__(self, root: Path):
        self._paths = RunPaths(root)
        self.manifest = read_manifest(self._paths)
        self._log = open_log(self._paths, self.manifest)

    def look(self) -> RunStatus:
        """How the run stands now."""
        state = self._log.refresh()
        beats = read_heartbeats(self._paths)
        dead = {p.incarnation for p in state.workers.values() if is_proven_dead(p)}
        seen = Observed(self._paths.root, time.time(), beats, dead)
        return describe(self.manifest, state, seen)


def width() -> int:
    """How many characters a line may have: $COLUMNS, the terminal's, or 80 where that is none."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or 80  # a terminal nobody sized says 0
    except OSError:
        return 80


def drawn(status: RunStatus, below: Sequence["RenderableType"] = ()) -> "RenderableType":
    """The status in colours, for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = text.table(status, width())
    table = Table(box=None, padding=(0, text.GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in shown.columns:
        table.add_column(column.title, justify="right" if column.number else "left", no_wrap=True)
    for cells in zip(*(column.cells for column in shown.columns), strict=True):
        table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in cells))
    troubles = [Text(line, "red") for line in text.troubles(status)]
    notes = [Text(line, "dim") for line in text.remarks(status, shown, width())]
    rows = [table] if status.members else []
    above = [Text(line) for line in text.above(status)]
    return Group(*above, *rows, *notes, *troubles, *below)
