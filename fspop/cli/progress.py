"""What `fspop run` shows: a table that redraws itself for a person, plain lines for a log."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from fspop.cli import look
from fspop.launch import Event
from fspop.report.schema import RunStatus
from fspop.report.text import counted, number, troubles

PLAIN_INTERVAL_S = 5.0


class Plain:
    """A line for each event, and one on the run every few seconds while something changes."""

    def __init__(self) -> None:
        self._shown_s = 0.0
        self._records = -1
        self._troubles: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left open."""

    def tell(self, events: Sequence[Event]) -> None:
        """A line for each event."""
        for event in events:
            self._say(event.message)

    def show(self, status: RunStatus, last: bool = False) -> None:
        """Perhaps a line; new troubles at once."""
        for trouble in troubles(status):
            if trouble not in self._troubles:
                self._troubles.add(trouble)
                self._say(trouble)
        due = time.monotonic() - self._shown_s >= PLAIN_INTERVAL_S
        if last or (due and status.records != self._records):
            self._shown_s, self._records = time.monotonic(), status.records
            self._say(summary(status))

    def _say(self, line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, flush=True)


class Live:
    """The table and a bar, redrawn in place; events scroll by above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._live = RichLive(console=Console(highlight=False), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, events: Sequence[Event]) -> None:
        """A line for each event, above the table."""
        for event in events:
            self._live.console.print(event.message, markup=False)

    def show(self, status: RunStatus, last: bool = False) -> None:
        """Draws the table anew."""
        from rich.progress_bar import ProgressBar

        bar = ProgressBar(total=1.0, completed=fraction(status), width=min(look.width(), 60))
        self._live.update(look.drawn(status, [bar]), refresh=True)


def fraction(status: RunStatus) -> float:
    """How much of the training is done, from 0 to 1."""
    total = (status.total_steps or 1) * max(1, len(status.members))
    return min(1.0, sum(m.step for m in status.members) / total)


def summary(status: RunStatus) -> str:
    """The run in one short line."""
    steps = [m.step for m in status.members] or [0]
    total = f" of {status.total_steps}" if status.total_steps else ""
    span = f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)}..{max(steps)}"
    best = status.best
    score = f"best {number(best.value)} in {best.generation}" if best else "no score"
    alive = sum(w.state == "alive" for w in status.workers)
    failed = f", {status.failed} failed" if status.failed else ""
    done = f"{status.finished} of {len(status.members)} finished{failed}"
    return (
        f"{fraction(status):.0%}, step {span}{total}, {score}, "
        f"{counted(status.decisions, 'decision')}, {done}, {counted(alive, 'worker')}"
    )
