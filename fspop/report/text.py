"""A run's status as words: numbers, ages, table cells and the lines around the table. Pure."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fspop.report.schema import MemberStatus, RunStatus
from fspop.report.settings import told

GAP = 2  # spaces between two columns
ABSENT = "-"  # where a member does not have a hparam that others have
_CONSTANTS_SHOWN = 12


class Column(NamedTuple):
    """One column: its title, its cells, and whether they are numbers (set flush right).

    `rank` 0 is always shown; the others in this order, as far as there is room.
    """

    title: str
    cells: list[str]
    number: bool = False
    rank: int = 0

    @property
    def width(self) -> int:
        """Characters of the widest entry."""
        return max(len(text) for text in (self.title, *self.cells))


class Table(NamedTuple):
    """The columns that fit, in order, and the titles of those that do not."""

    columns: list[Column]
    left_out: list[str]


def number(value: float | None, digits: int = 6) -> str:
    """A number for a cell; a dash for none."""
    return "-" if value is None else f"{value:.{digits}g}"


def age(seconds: float | None) -> str:
    """A duration with one unit: 4s, 12m, 5h, 3d; a dash for none."""
    if seconds is None:
        return "-"
    for size, unit, limit in ((1, "s", 120), (60, "m", 7200), (3600, "h", 172_800)):
        if seconds < limit:
            return f"{int(seconds / size)}{unit}"
    return f"{int(seconds / 86_400)}d"


def flat(hparams: Any, prefix: str = "") -> dict[str, Any]:
    """Hparams by dotted name; anything but a dict goes under "hparams"."""
    if not isinstance(hparams, Mapping):
        return {prefix.rstrip(".") or "hparams": hparams}
    found: dict[str, Any] = {}
    for key, value in hparams.items():
        found |= flat(value, f"{prefix}{key}.")
    return found


def short(value: Any) -> str:
    """A hyperparameter for a cell."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 14 else f"{text[:11]}..."


def varying(members: Sequence[MemberStatus]) -> dict[str, list[Any]]:
    """By dotted name, the hparams that are not the same in all members; "-" where one has none."""
    return {n: c for n, c in _by_name(members).items() if any(value != c[0] for value in c)}


def _by_name(members: Sequence[MemberStatus]) -> dict[str, list[Any]]:
    rows = [flat(m.hparams) for m in members]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, ABSENT) for row in rows] for name in names}


def constants(members: Sequence[MemberStatus], width: int) -> list[str]:
    """The hparams that are the same in all members, in lines of at most `width` where they break;
    none without hparams.
    """
    differ = varying(members)
    same = [f"{n}={short(c[0])}" for n, c in _by_name(members).items() if n not in differ]
    if not same:
        return []
    left = len(same) - _CONSTANTS_SHOWN
    more = [f"{left} more, see --json"] if left > 0 else []
    whose = "in all members: " if len(members) > 1 else "hparams: "
    told = ", ".join([*same[:_CONSTANTS_SHOWN], *more])
    return textwrap.wrap(whose + told, width, subsequent_indent="  ", break_long_words=False)


def counted(n: int, what: str) -> str:
    """A number of things: "1 decision", "2 decisions"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def table(status: RunStatus, width: int) -> Table:
    """The members' table in at most `width` characters, where the columns that must be there
    allow it.
    """
    columns = _columns(status)
    kept: set[int] = set()
    used = -GAP
    for i in sorted(range(len(columns)), key=lambda i: columns[i].rank):
        if columns[i].rank == 0 or used + GAP + columns[i].width <= width:
            kept.add(i)
            used += GAP + columns[i].width
    left_out = [c.title for i, c in enumerate(columns) if i not in kept]
    return Table([c for i, c in enumerate(columns) if i in kept], left_out)


def _columns(status: RunStatus) -> list[Column]:
    """All there is something to say in, and those that are always there."""
    members = status.members
    columns = [
        Column("member", [str(m.member) for m in members], number=True),
        Column("generation", [m.generation for m in members]),
        Column("step", [str(m.step) for m in members], number=True),
        Column("value", [number(m.value) for m in members], number=True),
        Column("best", [number(m.best) for m in members], number=True, rank=5),
        *_objective_columns(status),
        *_hparam_columns(members),
        Column("worker", [m.worker or "-" for m in members]),
        Column("host", [short(m.host or "-") for m in members], rank=3),
        Column("age", [age(m.heartbeat_age_s) for m in members], number=True, rank=2),
        Column("state", [m.state for m in members]),
    ]
    return [c for c in columns if c.rank == 0 or any(cell != "-" for cell in c.cells)]


def _objective_columns(status: RunStatus) -> list[Column]:
    """What objectives and constraints are on, but for the first objective, which is the value."""
    first = next(iter(status.objectives), "value")
    names = dict.fromkeys(name for m in status.members for name in m.objectives if name != first)
    return [
        Column(name, [number(m.objectives.get(name)) for m in status.members], number=True, rank=1)
        for name in names
    ]


def _hparam_columns(members: Sequence[MemberStatus]) -> list[Column]:
    """The first two are worth more than the rest."""
    return [
        Column(name, [short(v) for v in values], _are_numbers(values), 1 if i < 2 else 4)
        for i, (name, values) in enumerate(varying(members).items())
    ]


def _are_numbers(values: Sequence[Any]) -> bool:
    return not isinstance(next((v for v in values if v != ABSENT), ABSENT), str)


def headlines(status: RunStatus) -> list[str]:
    """What the run is and how far it is, and below it what came of it."""
    steps = f", {counted(status.total_steps, 'step')}" if status.total_steps else ""
    failed = f", {status.failed} failed" if status.failed else ""
    what = f"{status.name} (run {status.run}, {status.mode}{steps}): {status.state}"
    of = counted(len(status.members), "member")
    best = status.best
    score = f"best {number(best.value)} ({best.generation} at {best.step})" if best else "no score"
    counts = [counted(status.evaluations, "evaluation"), counted(status.decisions, "decision")]
    return [
        f"{what}, {status.finished} of {of} finished{failed}",
        ", ".join([score, *counts, f"updated {age(status.age_s)} ago"]),
    ]


def changes(status: RunStatus) -> list[str]:
    """The line that says that settings were changed since the run began."""
    if not status.changes:
        return []
    last = status.changes[-1]
    often = "once" if status.changed == 1 else f"{status.changed} times, the last time"
    ago = age(max(0.0, status.updated_at + status.age_s - last.time))
    return [f"settings were changed {often} {ago} ago by {last.by}: {told(last.asked)}"]


def front_line(status: RunStatus) -> list[str]:
    """The line on the front; none in a run with one value."""
    front = status.front
    if front is None:
        return []
    aims = [f"{mode} {name}" for name, mode in status.objectives.items()] + status.constraints
    words = [f"front: {front.size} of at most {front.limit} checkpoints ({', '.join(aims)})"]
    if front.hypervolume is not None:
        words.append(f"hypervolume {number(front.hypervolume)}")
    if not front.feasible:
        words.append("NONE keeps to the constraints so far")
    return [", ".join(words)]


def troubles(status: RunStatus) -> list[str]:
    """What somebody should look at, a line each."""
    lines = []
    if status.failing:
        lines.append(f"FAILING: the mutator raises {status.failing}; no decision until that ends")
    for m in status.members:
        if m.status == "failed":
            lines.append(f"member {m.member} FAILED: {m.error}")
        elif m.error and not m.failures:
            lines.append(f"member {m.member} is tried again; it had failed with {m.error}")
        elif m.failures:
            often = "once" if m.failures == 1 else f"{m.failures} times in a row"
            lines.append(f"member {m.member} raised {often}: {m.error}")
        elif m.diverged:
            lines.append(f"member {m.member} diverged: {m.diverged}")
    for w in status.workers:
        if w.state != "alive":
            lines.append(
                f"worker {w.worker} on {w.host}, process {w.pid}, is {w.state}"
                f" (heartbeat {age(w.heartbeat_age_s)} old)"
            )
    if status.failed:
        where = shlex.quote(status.dir)
        lines.append(
            f"once the cause is gone, 'fspop retry --dir {where}' gives failed members new "
            f"attempts; 'fspop status --json --dir {where}' has the tracebacks; a run keeps its "
            "code, so if that is the cause, mend the file and begin a new run"
        )
    return lines


def given_up(status: RunStatus) -> str:
    """What to say of a run whose members have all failed, and what to do about it."""
    where, last = shlex.quote(status.dir), status.members[-1]
    return (
        f"every member has failed, member {last.member} with {last.error}; the traceback is in "
        f"'fspop status --json --dir {where}' and in the workers' logs; once the cause is gone, "
        f"'fspop retry --dir {where}' gives them new attempts, then start workers again"
    )


def lines(status: RunStatus, width: int) -> list[str]:
    """The whole status as plain lines: what is above the table, the table, what is below it."""
    shown = table(status, width)
    rows = zip(*([c.title, *c.cells] for c in shown.columns), strict=True)
    drawn = [_row(row, shown.columns) for row in rows] if status.members else []
    return [*above(status), *drawn, *remarks(status, shown, width), *troubles(status)]


def above(status: RunStatus) -> list[str]:
    """The lines on the run."""
    return [*headlines(status), *front_line(status)]


def remarks(status: RunStatus, shown: Table, width: int) -> list[str]:
    """What is below the table whether or not anything is wrong: the hparams that are the same in
    all members, the columns that had no room, the changes.
    """
    same = constants(status.members, width)
    return [*same, *_left_out(shown, width), *changes(status)]


def _left_out(shown: Table, width: int) -> list[str]:
    if not shown.left_out:
        return []
    said = f"(no room in {width} columns: {', '.join(shown.left_out)}; see --json)"
    return textwrap.wrap(said, width, break_long_words=False)


def _row(cells: Sequence[str], columns: Sequence[Column]) -> str:
    aligned = (
        cell.rjust(column.width) if column.number else cell.ljust(column.width)
        for cell, column in zip(cells, columns, strict=True)
    )
    return (" " * GAP).join(aligned).rstrip()
