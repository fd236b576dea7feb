"""`fspop run`: a whole run on one machine; makes it where it is missing."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fspop.cli import options
from fspop.errors import ExperimentChanged, NotARun, RunExists, UsageError
from fspop.records import Manifest

if TYPE_CHECKING:
    from fspop.report.schema import RunStatus


def command(
    target: options.PerhapsTarget = None,
    run_dir: options.RunDir = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many; else one a member, as CPUs allow."),
    ] = None,
    members: options.Members = None,
    seed: options.Seed = None,
    settings: options.Settings = None,
    code: options.Code = None,
    data: options.Data = None,
    device: options.Device = None,
    cache: options.Cache = None,
    cache_gb: options.CacheGb = None,
) -> None:
    """Train a whole run on this machine.

    Creates the run if needed, starts workers, shows how it goes and the best at the end. A worker
    that dies is started again. Ctrl-C lets the workers save and end; the same command goes on
    later, with or without FILE, and so does any worker on any machine.
    """
    root = options.needed_dir(run_dir)
    changed = options.overrides(members, seed, settings)
    if code is not None and target is None:
        raise UsageError("--code: give FILE too, the file in that folder")
    manifest = open_or_create(target, root, changed, code)
    n_workers = workers or usual_workers(manifest)
    from fspop.cli.best import best_lines, read_best
    from fspop.cli.look import Watcher
    from fspop.cli.supervise import check_scored, supervise

    watcher = Watcher(root)
    if check_scored(watcher.look()):
        print(f"{root} is finished; for more steps 'fspop set --dir {root} total_steps=...'")
    else:
        with options.sigterm_as_interrupt():
            supervise(root, n_workers, **options.host_options(data, device, cache, cache_gb))
    for line in [*best_lines(read_best(root)), *remarks(watcher.look())]:
        print(line)


def remarks(status: "RunStatus") -> list[str]:
    """What the end of a run must not hide: members given up, a strategy that never decided."""
    from fspop.report.text import troubles

    found = troubles(status)
    if status.decisions == 0 and len(status.members) > 1:
        found.append(
            "the strategy made no decision; where it was to make some, let its interval be "
            f"well below the {status.total_steps} steps"
        )
    return found


def open_or_create(
    target: str | None, root: Path, overrides: dict[str, Any], code: Path | None
) -> Manifest:
    """The manifest of the run at `root`, which is created where it is missing.

    Raises ExperimentChanged where there is a run of something else, NotARun where there is none and
    no `target` to make it of.
    """
    from fspop.paths import RunPaths
    from fspop.storage import read_manifest

    paths = RunPaths(root)
    try:
        manifest = read_manifest(paths)
    except NotARun:
        if target is None:
            raise
        from fspop.cli.creation import create
        from fspop.cli.init import unlikely

        try:
            manifest = create(target, root, overrides, code)
            print(f"created run {manifest.run} in {root}: {manifest.members} members")
            print("".join(f"{line}\n" for line in unlikely(manifest)), end="", flush=True)
            return manifest
        except RunExists:  # another command made it meanwhile
            manifest = read_manifest(paths)
    _check_same(manifest, target, root, overrides, code)
    print(f"going on with run {manifest.run} in {root}: {manifest.members} members")
    return manifest


def _check_same(
    manifest: Manifest, target: str | None, root: Path, overrides: dict[str, Any], code: Path | None
) -> None:
    from fspop.experiment_code import check_unchanged
    from fspop.paths import RunPaths

    if target is not None:
        _check_same_code(manifest, target, root, code)
    recorded = check_unchanged(RunPaths(root), manifest)
    created_with = {**{n: getattr(manifest, n) for n in _fields(manifest)}, **recorded["overrides"]}
    for key, value in overrides.items():
        if key not in created_with or created_with[key] != value:
            raise _created_otherwise(root, manifest, key, value, created_with)


def _fields(manifest: Manifest) -> list[str]:
    return [name for name in manifest.__struct_fields__ if name not in ("mutator", "space")]


def _created_otherwise(
    root: Path, manifest: Manifest, key: str, value: Any, created_with: dict[str, Any]
) -> ExperimentChanged:
    from fspop.controller.changing import CHANGEABLE

    before = f"{key}={created_with[key]}" if key in created_with else f"{key} as FILE says"
    may_change = key in CHANGEABLE or key.startswith("mutator")
    change = f"change it with 'fspop set --dir {root} {key}={value}', " if may_change else ""
    return ExperimentChanged(
        f"{root}: run {manifest.run} was created with {before}, not {value}; leave it out, "
        f"{change}or give another --dir for a new run",
        path=root,
    )


def _check_same_code(manifest: Manifest, target: str, root: Path, code: Path | None) -> None:
    from fspop.experiment_code import digest_source, relative_file, split_target

    file, attribute = split_target(target)
    recorded = manifest.experiment or {}
    given = {"file": relative_file(file, code), "attribute": attribute}
    given["digest"] = digest_source(file, code, root)
    unlike = [name for name, value in given.items() if recorded.get(name) != value]
    if unlike:
        what = f"{' and '.join(unlike)} {'differs' if len(unlike) == 1 else 'differ'}"
        raise ExperimentChanged(
            f"{root}: holds run {manifest.run} of another experiment or of another version of it "
            f"(its {what} from {target}'s); leave FILE out to go on with the run's own copy, "
            "or give another --dir for a new run",
            path=root,
        )


def usual_workers(manifest: Manifest) -> int:
    """One for each member, as far as there are CPUs."""
    return max(1, min(manifest.members, _cpus() // manifest.threads))


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
