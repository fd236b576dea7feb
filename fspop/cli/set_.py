"""`fspop set`: settings of a run under way, shown and changed on record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fspop.cli import options
from fspop.controller import PopulationController
from fspop.errors import UsageError
from fspop.paths import RunPaths
from fspop.records import Manifest, SettingsChanged, State, in_effect
from fspop.report.settings import flat_settings, moment, told, written
from fspop.report.text import counted
from fspop.storage import check_writable, read_history, read_manifest, read_run


def command(
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="As in mutator.interval=200, or mutator=NAME for another strategy.",
            show_default=False,
        ),
    ] = None,
    run_dir: options.RunDir = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = "",
) -> None:
    """Change settings of a run under way, or show them.

    Without KEY=VALUE it prints the settings in effect and who changed what. What is given is
    checked first, then recorded as one transaction with your name; every worker goes by it from its
    next look at the log on. Another strategy takes what members have reported into account at once,
    and keeps the settings that both have. run.json never changes.
    """
    root = options.needed_dir(run_dir)
    asked = read_changes(changes or [])
    if asked:
        print("\n".join(_changed(root, asked, reason)))
    elif reason:
        raise UsageError("--reason: got no change to give it for; add KEY=VALUE")
    else:
        print("\n".join(shown(root)))


def read_changes(texts: Sequence[str]) -> dict[str, Any]:
    """What is asked for, by dotted key. Raises UsageError."""
    if not texts:
        return {}
    from fspop.experiment_code import parse_override

    asked: dict[str, Any] = {}
    for text in texts:
        key, value = parse_override(text, "KEY=VALUE")
        if key in asked:
            raise UsageError(f"{key}: given twice; give it once")
        asked[key] = value
    return asked


def change(root: Path, asked: Mapping[str, Any], by: str, reason: str = "") -> State:
    """Changes settings of the run at `root`; returns the state after it. One record, or none.

    Raises UsageError, InvalidSetting, and ExperimentError where the strategy needs the experiment's
    code and that does not import.
    """
    from fspop.controller.changing import check_keys

    check_keys(asked)
    paths = RunPaths(root)
    manifest = read_manifest(paths)
    check_writable(paths)
    needs_strategy = [key for key in asked if key.partition(".")[0] in ("mutator", "total_steps")]
    return _controller(paths, manifest, bool(needs_strategy)).change(asked, by, reason)


def _controller(paths: RunPaths, manifest: Manifest, needs_strategy: bool) -> PopulationController:
    from fspop.controller.effective import Unasked
    from fspop.mutators.described import build
    from fspop.space import Space

    if needs_strategy and manifest.experiment is not None:
        from fspop.experiment_code import Names, load_run_experiment

        experiment = load_run_experiment(paths, manifest)
        names = Names(paths, manifest)
        return PopulationController.open(paths.root, experiment.mutator, experiment.domains, names)
    mutator = build(manifest.mutator) if needs_strategy else Unasked()
    space = Space.from_data(manifest.space) if manifest.space else None
    return PopulationController.open(paths.root, mutator, space)


def _changed(root: Path, asked: Mapping[str, Any], reason: str) -> list[str]:
    from fspop.cli.person import person

    manifest, before = read_run(root)
    state = change(root, asked, person(), reason)
    was, now = _rows(in_effect(manifest, before)), _rows(in_effect(manifest, state))
    made = state.n_decisions - before.n_decisions
    return [
        f"changed {told(asked)}; in effect now:",
        *(
            f"  {name}={written(value)}{_note(was, name)}"
            for name, value in now.items()
            if name in asked or was.get(name, ...) != value
        ),
        *([f"{counted(made, 'decision')} since then"] if made > 0 else []),
    ]


def _note(was: Mapping[str, Any], name: str) -> str:
    return f"   (was {written(was[name])})" if name in was else "   (is new)"


def shown(root: Path) -> list[str]:
    """The settings in effect, and every change of them there was, oldest first."""
    manifest, state = read_run(root)
    if not state.n_changes:
        return [*_settings(manifest, state), "nothing was changed since the run began"]
    return [*_settings(manifest, state), "", "changes:", *_history(root)]


def _history(root: Path) -> list[str]:
    found = []
    for record in read_history(root):
        for op in record.ops:
            if isinstance(op, SettingsChanged):
                why = f" ({op.reason})" if op.reason else ""
                found.append(f"  {moment(record.time)}  {op.by}  {told(op.asked)}{why}")
    return found


def _settings(manifest: Manifest, state: State) -> list[str]:
    was = _rows(manifest)
    return [
        f"{name}={written(value)}{'' if was.get(name, ...) == value else '   (changed)'}"
        for name, value in _rows(in_effect(manifest, state)).items()
    ]


def _rows(manifest: Manifest) -> dict[str, Any]:
    """Setting by dotted name."""
    from fspop.controller.changing import CHANGEABLE

    return {n: getattr(manifest, n) for n in CHANGEABLE} | flat_settings(manifest.mutator)
