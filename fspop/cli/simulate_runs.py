"""`fspop simulate --dir`: the same toy problem through real worker processes."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fspop.cli import options
from fspop.cli.look import Watcher
from fspop.cli.run import open_or_create
from fspop.cli.supervise import check_scored, supervise
from fspop.errors import ExperimentChanged
from fspop.experiment import Experiment
from fspop.paths import RunPaths
from fspop.simulation import Simulation, decisions, result
from fspop.simulation.report import Report, make_report
from fspop.simulation.study import beside, study
from fspop.storage import read_history, read_run

FILE = '''"""The toy problem {problem!r}, as `fspop simulate` made it."""

from fspop.simulation import named_experiment

experiment = named_experiment({problem!r}, {mutator!r})
'''


def in_runs(
    problem: str,
    experiment: Experiment,
    seeds: range,
    overrides: Mapping[str, Any],
    root: Path,
    n_workers: int,
) -> Report:
    """The report on real runs: in `root` for one seed, else in a folder below it for each.

    Runs that exist go on. Raises ExperimentChanged for a run of something else.
    """
    if len(seeds) > 1 and RunPaths(root).manifest.exists():
        raise ExperimentChanged(
            f"{root}: holds a run, and several seeds need a folder for each; give another --dir, "
            "or --seeds 1 to go on with it",
            path=root,
        )
    values, decided = [], []
    for seed in seeds:
        where = root if len(seeds) == 1 else root / f"seed-{seed}"
        one = dataclasses.replace(experiment, seed=seed)
        _train(problem, one, {"seed": seed, **overrides}, where, n_workers)
        _, state = read_run(where)
        toy, mutator = experiment.task.problem, experiment.mutator  # type: ignore[attr-defined]
        values.append(result(toy, mutator, state, read_history(where)))
        decided.append((decisions(read_history(where)), _in_memory(one)))
    others = study(beside(experiment), seeds)
    report = make_report(problem, experiment, seeds, values, others[0] if others else None)
    if not getattr(experiment.mutator, "synchronous", True):
        return report
    same = all(real == memory for real, memory in decided)
    n = sum(len(real) for real, _ in decided)
    return replace(report, n_decisions=n, decided_as_in_memory=same)


def _in_memory(experiment: Experiment) -> list[Any]:
    simulation = Simulation(experiment)
    simulation.run()
    return list(decisions(simulation.records()))


def _train(
    problem: str, experiment: Experiment, overrides: dict[str, Any], root: Path, n_workers: int
) -> None:
    """Makes the run where it is missing, and trains it to its end."""
    with tempfile.TemporaryDirectory(prefix="fspop-simulate-") as scratch:
        file = Path(scratch) / "simulated.py"
        file.write_text(FILE.format(problem=problem, mutator=experiment.mutator.name))
        try:
            open_or_create(str(file), root, overrides, None)
        except ExperimentChanged as error:
            raise ExperimentChanged(
                f"{root}: holds a run of something else than this simulation; give the PROBLEM, "
                "--mutator, --seed and --set it was made with, or another --dir",
                path=root,
            ) from error
    if not check_scored(Watcher(root).look()):
        with options.sigterm_as_interrupt():
            supervise(root, n_workers)
