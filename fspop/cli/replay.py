"""`fspop replay`: the schedule that led to the best score, trained again on other seeds."""

import contextlib
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fspop.cli import options
from fspop.cli.replay_verdict import Verdict, judge
from fspop.cli.schedule import Member, recipe_of
from fspop.errors import ExperimentChanged, NotARun, TryLater, UsageError
from fspop.experiment_code import check_unchanged
from fspop.experiment_code.replayed import FACTS, PROGRAM, TEXT, Replayed
from fspop.paths import RunPaths
from fspop.records import Record, Reported, in_effect, parse_generation_id
from fspop.report.text import number
from fspop.storage import read_history, read_manifest, read_run


class ReplayReport(msgspec.Struct, frozen=True):
    """What `fspop replay --json` prints: the score `original` of `generation` at `step` of `run`,
    what the same schedule reached there on other seeds (None: no score that counts), and a verdict.
    """

    run: str
    dir: str
    mode: str
    generation: str
    step: int
    original: float
    replays: list[float | None]
    verdict: Verdict


def command(
    run_dir: options.RunDir = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="On how many seeds (5).")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to train; else beside the run, as RUN-replay."),
    ] = None,
    member: Member = "best",
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many worker processes.")
    ] = None,
    data: options.Data = None,
    device: options.Device = None,
    cache: options.Cache = None,
    cache_gb: options.CacheGb = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Tell whether the schedule or luck made the best score.

    Trains the run's experiment again from fresh weights, each of K members with the schedule that
    led to the best score and a seed of its own, in a run directory of its own. Compares what they
    reach at the same step. The same command goes on with what was interrupted.
    """
    root = options.needed_dir(run_dir).absolute()
    where = to or root.parent / f"{root.name}-replay"
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        facts = open_or_create_replay(root, where, member, seeds)
        if facts.members == 1:
            print("one seed cannot tell the schedule from luck; --seeds 5 or more may")
        _train(where, workers, options.host_options(data, device, cache, cache_gb))
    report = read_replay(where, facts)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    for line in replay_lines(report):
        print(line)


def open_or_create_replay(root: Path, where: Path, member: str, seeds: int | None) -> Replayed:
    """What is trained in `where`, which is made a run where it is none.

    Raises ExperimentChanged where that holds a run of something else.
    """
    manifest = read_manifest(RunPaths(root))
    try:
        there = read_manifest(RunPaths(where))
    except NotARun:
        facts = _facts(root, member, seeds or 5)
        _create(root, where, facts)
        print(f"created a replay of {facts.recipe.generation} in {where}, {facts.members} seeds")
        return facts
    path = RunPaths(where).experiment / FACTS
    found = msgspec.json.decode(path.read_bytes(), type=Replayed) if path.exists() else None
    if found is None or found.recipe.run != manifest.run:
        raise ExperimentChanged(
            f"{where}: holds run {there.run}, which is no replay of run {manifest.run}; "
            "give another --to",
            path=where,
        )
    if seeds not in (None, found.members):
        raise ExperimentChanged(
            f"{where}: holds a replay on {found.members} seeds, not {seeds}; leave --seeds out to "
            "go on with it, or give another --to",
            path=where,
        )
    wanted = found.recipe if member == "best" else recipe_of(root, member)
    if wanted.generation != found.recipe.generation:
        raise ExperimentChanged(
            f"{where}: holds a replay of {found.recipe.generation}, not of {wanted.generation}; "
            "give another --to",
            path=where,
        )
    print(f"going on with the replay of {found.recipe.generation} in {where}")
    return found


def _facts(root: Path, member: str, seeds: int) -> Replayed:
    paths = RunPaths(root)
    manifest = read_manifest(paths)
    recorded = check_unchanged(paths, manifest)
    if recorded["file"] == PROGRAM:
        raise UsageError(f"{root}: is a replay itself; replay the run that it was made from")
    recipe = recipe_of(root, member)
    if recipe.value is None:
        raise TryLater(f"{root}: {recipe.generation} has no score to compare with yet")
    file, attribute = recorded["file"], recorded["attribute"]
    now = in_effect(manifest, read_run(root)[1])  # people may have changed it on the way
    changed = {name: getattr(now, name) for name in ("total_steps", "report_every")}
    overrides = {**recorded["overrides"], **changed}
    return Replayed(recipe, seeds, manifest.seed + 1, file, attribute, overrides)


def _create(root: Path, where: Path, facts: Replayed) -> None:
    from fspop.cli.creation import create

    with tempfile.TemporaryDirectory(prefix="fspop-replay-") as scratch:
        folder = Path(scratch) / "experiment"
        shutil.copytree(RunPaths(root).experiment, folder)
        (folder / PROGRAM).write_text(TEXT)
        (folder / FACTS).write_bytes(msgspec.json.encode(facts))
        create(str(folder / PROGRAM), where, {}, folder)


def _train(where: Path, workers: int | None, host: dict[str, str | None]) -> None:
    from fspop.cli.look import Watcher
    from fspop.cli.run import usual_workers
    from fspop.cli.supervise import check_scored, supervise

    if not check_scored(Watcher(where).look()):
        n_workers = workers or usual_workers(read_manifest(RunPaths(where)))
        with options.sigterm_as_interrupt():
            supervise(where, n_workers, **host)


def read_replay(where: Path, facts: Replayed) -> ReplayReport:
    """The outcome of the replay in `where`. Reads its whole history."""
    recipe = facts.recipe
    assert recipe.value is not None and recipe.until is not None
    replays = scores_at(recipe.until, facts.members, read_history(where))
    return ReplayReport(
        run=recipe.run,
        dir=str(where),
        mode=recipe.mode,
        generation=recipe.generation,
        step=recipe.until,
        original=recipe.value,
        replays=replays,
        verdict=judge(recipe.value, replays, recipe.mode),
    )


def scores_at(step: int, members: int, records: Iterable[Record]) -> list[float | None]:
    """By member, the first score at or after `step`; None where that diverged or never came."""
    found: dict[int, Reported] = {}
    for op in (op for record in records for op in record.ops if isinstance(op, Reported)):
        parsed = parse_generation_id(op.generation)
        scored = op.value is not None or op.diverged
        if parsed is None or not scored or op.step < step:
            continue
        if parsed[0] not in found or op.step < found[parsed[0]].step:
            found[parsed[0]] = op
    return [found[i].value if i in found else None for i in range(members)]


def replay_lines(report: ReplayReport) -> list[str]:
    """The outcome for a reader, in 80 columns."""
    verdict = report.verdict
    values = ", ".join(number(v) for v in report.replays)
    spread = "" if verdict.sd is None else f" ± {number(verdict.sd, 3)}"
    facts = [
        ("original", f"{number(report.original)} ({report.generation} at step {report.step})"),
        ("replays", f"{number(verdict.mean)}{spread} at the same step: {values}"),
        ("rank", f"the original is number {verdict.rank} of these {verdict.of}"),
    ]
    rows = [f"{name:<12}{text}" for name, text in facts]
    wrapped = [textwrap.wrap(row, 80, subsequent_indent=" " * 12) for row in rows]
    return [*(line for lines in wrapped for line in lines), *textwrap.wrap(verdict.sentence, 80)]
