"""What `fspop simulate` says: the figures beside the published ones, and what they mean."""

import textwrap
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fspop.experiment import Experiment
from fspop.problems import Problem
from fspop.simulation.published import FIGURES, Published
from fspop.simulation.settings import named_experiment
from fspop.simulation.statistics import Spread, spread

WIDTH = 80
FEW = 5  # seeds; fewer may show anything


class Figures(Struct, frozen=True):
    """One strategy's results: by seed, and of all seeds; `published`: as far as known.

    A result is None for a seed that never solved the problem.
    """

    mutator: str
    settings: dict[str, Any]
    values: list[float | None]
    reached: Spread
    published: Spread | None


class Report(Struct, frozen=True):
    """What `fspop simulate --json` prints.

    `result` says what the values are. `gate` is what the published settings must reach, `within`
    whether these seeds did; both None where there is no such figure, or other settings. `greedy`:
    on the deceptive problem, whether it ended below random search. `n_decisions`: of real worker
    processes, and whether they were the decisions of the same simulation in memory; else None.
    """

    problem: str
    members: int
    total_steps: int
    report_every: int
    seeds: list[int]
    result: str
    strategy: Figures
    random_search: Figures | None
    gate: str | None
    within: bool | None
    greedy: bool | None
    n_decisions: int | None = None
    decided_as_in_memory: bool | None = None


def make_report(
    problem: str,
    experiment: Experiment,
    seeds: Sequence[int],
    values: Sequence[float | None],
    reference: Sequence[float | None] | None,
) -> Report:
    """The report on the results of `experiment` by seed; `reference` are those of random search."""
    toy: Problem = experiment.task.problem  # type: ignore[attr-defined]
    less = toy.solved is not None
    name = experiment.mutator.name
    known = _published(problem, experiment)
    gate = known.gate if known else None
    beside = None
    if reference is not None:
        chance = FIGURES.get((problem, "RandomSearch"), {}).get(experiment.total_steps)
        same = experiment.members == toy.members and chance is not None
        beside = Figures(
            "RandomSearch",
            {},
            list(reference),
            spread(reference, less=less),
            chance.known if chance and same else None,
        )
    mine = spread(values, less=less)
    return Report(
        problem=problem,
        members=experiment.members,
        total_steps=experiment.total_steps,
        report_every=experiment.report_every,
        seeds=list(seeds),
        result="steps to solve" if less else "score at the end",
        strategy=Figures(
            name,
            experiment.mutator.settings(),
            list(values),
            mine,
            known.known if known else None,
        ),
        random_search=beside,
        gate=str(gate) if gate else None,
        within=gate.within(values) if gate else None,
        greedy=_is_greedy(problem, mine, beside),
    )


def _published(problem: str, experiment: Experiment) -> Published | None:
    """The figures of exactly these settings, the seed aside."""
    usual = named_experiment(problem, experiment.mutator.name)
    same = _decisive(usual) == _decisive(experiment)
    found = FIGURES.get((problem, experiment.mutator.name), {})
    return found.get(experiment.total_steps) if same else None


def _decisive(experiment: Experiment) -> list[Any]:
    """What published figures depend on, beside total_steps."""
    domains, goal = experiment.domains, experiment.goal
    space = domains.mapping if domains else None
    return [experiment.mutator, experiment.members, experiment.report_every, space, goal]


def _is_greedy(problem: str, mine: Spread, beside: Figures | None) -> bool | None:
    if problem != "deceptive" or beside is None:
        return None
    if mine.mean is None or beside.reached.mean is None:
        return None
    return mine.mean < beside.reached.mean


def lines(report: Report) -> list[str]:
    """The report for a reader, in 80 columns."""
    n = len(report.seeds)
    head = (
        f"{report.problem}: {report.members} member{'s' * (report.members > 1)}, "
        f"{report.total_steps} steps, a report every {report.report_every}, "
        f"{n} seed{'s' * (n > 1)}"
    )
    return [*textwrap.wrap(head, WIDTH), *_table(report), *_meaning(report)]


def _table(report: Report) -> list[str]:
    less = "steps" in report.result
    titles = ("median", "95 %", "max", "solved") if less else ("mean", "5 %", "min", "sd")
    rows: list[tuple[str, ...]] = [(report.result, *titles)]
    for figures in (report.strategy, report.random_search):
        if figures is None:
            continue
        rows.append((figures.mutator, *_cells(figures.reached, less)))
        if figures.published is not None:
            rows.append(("  published", *_cells(figures.published, less)))
    width = max(len(row[0]) for row in rows)
    return [f"{row[0]:<{width}}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in rows]


def _cells(s: Spread, less: bool) -> tuple[str, ...]:
    if less:
        share = "-" if s.solved is None else f"{s.solved:.0%}"
        return *("-" if v is None else f"{v:.0f}" for v in (s.median, s.bad, s.worst)), share
    return tuple("-" if v is None else f"{v:.4f}" for v in (s.mean, s.bad, s.worst, s.sd))


def _meaning(report: Report) -> list[str]:
    said = []
    if report.decided_as_in_memory is not None:
        same = "the same as" if report.decided_as_in_memory else "OTHERS THAN"
        said.append(f"decisions: {report.n_decisions}, {same} in memory")
    if report.gate is not None:
        verdict = "within" if report.within else "MISSED"
        said.append(f"gate: {report.gate}: {verdict}")
    elif report.strategy.mutator != "RandomSearch":
        said.append("no gate: there is none for these settings")
    name = report.strategy.mutator
    if report.greedy:
        said.append(
            f"GREEDY: with these settings {name} ends below random search, which decides nothing: "
            "it takes what pays at the next decision and pays for it at the end. Try a longer "
            "interval, or FIRE or MultipleFrequencies, which are not greedy."
        )
    elif report.greedy is False:
        said.append(
            f"not greedy: with these settings {name} ends above random search where what pays at "
            "the next decision is wrong in the end."
        )
    if len(report.seeds) < FEW and (report.gate is not None or report.greedy is not None):
        said.append(
            f"{len(report.seeds)} seed{'s' * (len(report.seeds) > 1)}: too few to mean much; give "
            f"--seeds {2 * FEW}"
        )
    return [line for text in said for line in textwrap.wrap(text, WIDTH)]
