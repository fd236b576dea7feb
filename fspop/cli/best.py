"""`fspop best`: the best evaluation so far, its checkpoint, and where it came from."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fspop.cli import options
from fspop.errors import TryLater
from fspop.records import State
from fspop.report.lineage import Ancestor, lineage
from fspop.report.schema import BestStatus
from fspop.report.status import best_status
from fspop.report.text import flat, number, short
from fspop.storage import read_history, read_run


class BestReport(msgspec.Struct, frozen=True):
    """What `fspop best --json` prints.

    `checkpoint` is an absolute path; None where none was saved at that step, or where a program
    recorded parameters that are no path: those are in `params`. `lineage` begins with the
    generation itself and ends with a first one.
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


def command(
    run_dir: options.RunDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the lineage.")] = False,
) -> None:
    """Show the best evaluation so far.

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
    there is none yet.
    """
    manifest, state = read_run(root)
    best = best_status(state, root)
    if best is None:
        raise TryLater(
            f"{root}: no evaluation counts so far; look again when 'fspop status --dir {root}' "
            "shows one"
        )
    return _report(manifest.run, state, best, lineage(read_history(root), best.generation))


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
        f"value       {number(report.value)}",
        f"generation  {report.generation} at step {report.step}",
        f"hparams     {hparams}",
        f"checkpoint  {where}",
        f"lineage     {_lineage(report.lineage)}",
    ]


def _lineage(line: list[Ancestor]) -> str:
    """The newest ancestors and the first one."""
    names = [ancestor.generation for ancestor in line]
    if len(names) > 5:
        names = [*names[:3], f"({len(names) - 4} more)", names[-1]]
    return " < ".join(names)
