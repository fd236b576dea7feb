"""`fspop simulate`: a strategy on a toy problem with a known answer."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fspop.cli import options
from fspop.errors import InvalidSetting, UsageError

if TYPE_CHECKING:
    from fspop.experiment import Experiment
    from fspop.simulation.report import Report

DEFAULT = "TruncationSelection"


def command(
    problem: Annotated[
        str | None,
        typer.Argument(metavar="PROBLEM", help="quadratic, triangle, plain or deceptive."),
    ] = None,
    mutator: Annotated[
        str, typer.Option(metavar="NAME", help="A strategy of fspop.mutators.")
    ] = DEFAULT,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, help="On how many seeds: 10, or 1 with --dir."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="The first one.")] = 0,
    settings: options.Settings = None,
    run_dir: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Train it for real, in a run directory."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="With --dir: so many worker processes (2)."),
    ] = None,
    as_list: Annotated[
        bool, typer.Option("--list", help="Show the problems and strategies there are.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every value.")] = False,
) -> None:
    """Try a strategy on a toy problem with a known answer.

    In memory and in seconds, with the controller that real runs have. Shows what it reached beside
    the published figures and beside random search; PROBLEM deceptive tells whether a strategy, or
    its interval, is greedy. --set mutator.interval=40 changes a setting. With --dir real worker
    processes train it; the same command goes on with what was interrupted.
    """
    if as_list:
        print("\n".join(listed()))
        return
    name, experiment = chosen(problem, mutator, settings)
    if run_dir is None:
        if workers is not None:
            raise UsageError("--workers: give --dir too, the directory to train in")
        report = in_memory(name, experiment, range(seed, seed + (seeds or 10)))
    else:
        from fspop.cli.simulate_runs import in_runs

        changed = options.overrides(None, None, settings)
        wanted = range(seed, seed + (seeds or 1))
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            report = in_runs(name, experiment, wanted, changed, run_dir, workers or 2)
    show(report, as_json)


def show(report: "Report", as_json: bool) -> None:
    """Prints it."""
    import msgspec

    from fspop.simulation.report import lines

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print("\n".join(lines(report)))


def chosen(
    problem: str | None, mutator: str, settings: list[str] | None
) -> tuple[str, "Experiment"]:
    """(problem, its experiment) of a command line. Raises UsageError, InvalidSetting."""
    from fspop.experiment_code import apply_overrides
    from fspop.simulation.settings import named_experiment

    name = _problem(problem)
    changed = options.overrides(None, None, settings)
    if "seed" in changed:
        raise UsageError("--set seed: give --seed for the first one and --seeds for how many")
    experiment = apply_overrides(named_experiment(name, mutator), changed)
    _check_metrics(name, experiment)
    return name, experiment


def _check_metrics(name: str, experiment: "Experiment") -> None:
    """Raises InvalidSetting for an objective or constraint on what the problem does not measure."""
    from fspop.problems import PROBLEMS, Trained
    from fspop.simulation.toy import metrics

    problem = PROBLEMS[name]()
    measured = metrics(problem, 0, Trained(problem.begin(0), 0.0, []))
    there = [metric for metric, value in measured.items() if isinstance(value, int | float)]
    missing = [metric for metric in experiment.goal.needed if metric not in there]
    if missing:
        raise InvalidSetting(
            f"{name}: objectives and constraints are on {', '.join(missing)}, but the problem "
            f"measures {', '.join(there)}"
        )


def _problem(given: str | None) -> str:
    import difflib

    from fspop.problems import PROBLEMS

    there = f"there are {', '.join(PROBLEMS)}"
    if given is None:
        raise UsageError(f"PROBLEM: {there}; 'fspop simulate --list' says what they are")
    if given not in PROBLEMS:
        near = difflib.get_close_matches(given, PROBLEMS, 1)
        hint = f"did you mean {near[0]!r}?" if near else there
        raise UsageError(f"PROBLEM: got {given!r}, but there is no such problem; {hint}")
    return given


def in_memory(problem: str, experiment: "Experiment", seeds: range) -> "Report":
    """The report on these seeds, with random search beside it."""
    from fspop.simulation.report import make_report
    from fspop.simulation.study import beside, study

    values, *others = study([experiment, *beside(experiment)], seeds)
    return make_report(problem, experiment, seeds, values, others[0] if others else None)


def listed() -> list[str]:
    """The problems with a line each, and the strategies."""
    import inspect
    import textwrap

    from fspop.mutators.by_name import mutator_names
    from fspop.problems import PROBLEMS

    found = ["problems:"]
    for name, cls in PROBLEMS.items():
        first = (inspect.getdoc(cls) or "").partition("\n\n")[0]
        text = " ".join(first.split())
        indent = " " * 13
        found += textwrap.wrap(f"  {name:<11}{text}", 80, subsequent_indent=indent)
    names = ", ".join(mutator_names())
    wrapped = textwrap.wrap(names, 80, initial_indent="  ", subsequent_indent="  ")
    return [*found, f"strategies ({DEFAULT} where none is given):", *wrapped]
