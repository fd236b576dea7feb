"""`fspop best`: the best evaluation so far, its checkpoint, and where it came from; the front."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fspop.cli import options
from fspop.errors import TaskError, TryLater
from fspop.records import State
from fspop.report.best import best_status, front_status
from fspop.report.lineage import Ancestor, lineage
from fspop.report.schema import BestStatus, FrontPoint, FrontStatus
from fspop.report.text import flat, number, short
from fspop.storage import read_history, read_run


class BestReport(msgspec.Struct, frozen=True):
    """What `fspop best --json` prints.

    `checkpoint` is an absolute path; None where none was saved at that step, or where a program
    recorded parameters that are no path: those are in `params`. `lineage` begins with the
    generation itself and ends with a first one. `front` is None in a run with one value; else the
    best is what keeps best to the constraints, and then the best in the first objective.
    """

    run: str
    mode: str
    value: float
    generation: str
    step: int
    metrics: dict[str, object]
    hparams: object
    checkpoint: str | None
    params: object
    lineage: list[Ancestor]
    front: FrontStatus | None = None


def command(
    run_dir: options.RunDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the lineage.")] = False,
) -> None:
    """Show the best so far, of several objectives the front.

    With its hparams, its checkpoint, and the generations it descends from. In Python,
    fspop.training.load_checkpoint(Path(checkpoint))["task"] is what the task's state_dict() gave.
    """
    report = read_best(options.needed_dir(run_dir))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    for line in best_lines(report):
        print(line)


def read_best(root: Path) -> BestReport:
    """The best evaluation of the run at `root`; reads its whole history. Raises TryLater where
    there is none yet, TaskError where there will never be one.
    """
    manifest, state = read_run(root)
    best = best_status(state, root)
    if best is None and state.members and all(m.status != "active" for m in state.members):
        raise TaskError(
            f"{root}: the run is over, and no evaluation of it counts; 'fspop status --dir {root}' "
            "says why"
        )
    if best is None:
        raise TryLater(
            f"{root}: no evaluation counts so far; look again when 'fspop status --dir {root}' "
            "shows one"
        )
    report = _report(manifest.run, state, best, lineage(read_history(root), best.generation))
    return msgspec.structs.replace(report, front=front_status(state, root))


def _report(run: str, state: State, best: BestStatus, line: list[Ancestor]) -> BestReport:
    found = state.best
    assert found is not None
    saved = found.checkpoint
    return BestReport(
        run=run,
        mode=state.mode,
        value=best.value,
        generation=best.generation,
        step=best.step,
        metrics=found.evaluation.metrics,
        hparams=best.hparams,
        checkpoint=best.checkpoint,
        params=saved.params if saved and best.checkpoint is None else None,
        lineage=line,
    )


def best_lines(report: BestReport) -> list[str]:
    """The report for a reader."""
    hparams = ", ".join(f"{name}={short(v)}" for name, v in flat(report.hparams).items())
    where = report.checkpoint or ("no path" if report.params is not None else "none was saved")
    return [
        *(front_lines(report.front) if report.front else []),
        f"value       {number(report.value)}",
        f"generation  {report.generation} at step {report.step}",
        f"hparams     {hparams}",
        f"checkpoint  {where}",
        f"lineage     {_lineage(report.lineage)}",
    ]


def front_lines(front: FrontStatus) -> list[str]:
    """The front as a table, a checkpoint a row, and an empty line."""
    names = list(front.points[0].objectives) if front.points else []
    titles = [
        *names,
        *([] if front.feasible else ["violation"]),
        "generation",
        "step",
        "checkpoint",
    ]
    rows = [_front_row(point, names, front.feasible) for point in front.points]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    drawn = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    ]
    volume = "" if front.hypervolume is None else f", hypervolume {number(front.hypervolume)}"
    return [f"front       {front.size} of at most {front.limit} checkpoints{volume}", *drawn, ""]


def _front_row(point: FrontPoint, names: list[str], feasible: bool) -> list[str]:
    values = [number(point.objectives[name]) for name in names]
    violation = [] if feasible else [number(point.violation, 3)]
    where = point.checkpoint or "none was saved"
    return [*values, *violation, point.generation, str(point.step), where]


def _lineage(line: list[Ancestor]) -> str:
    """The newest ancestors and the first one."""
    names = [ancestor.generation for ancestor in line]
    if len(names) > 5:
        names = [*names[:3], f"({len(names) - 4} more)", names[-1]]
    return " < ".join(names)
