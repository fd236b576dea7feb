"""Making a directory a run: code staged, checked in a fresh process, put in place, then the
manifest.

Dying anywhere in here leaves either a run or a directory that the next init cleans up by itself:
the lock file says that what lies beside it is an init's. Of several inits at once the lock lets one
through; the others find a run.
"""

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fspop.controller import PopulationController, new_manifest
from fspop.errors import ExperimentError, NotARun, RunExists, TryLater
from fspop.experiment_code import (
    check_in_fresh_process,
    copy_code,
    digest_code,
    relative_file,
    split_target,
)
from fspop.mutators.base import Mutator, MutatorState
from fspop.paths import RunPaths
from fspop.records import Manifest
from fspop.space import Space
from fspop.storage.atomic import as_fspop_error, list_names, remove

PATIENCE_S = 120.0
"""How long to wait for another init in the same directory."""
HARMLESS = {"lost+found", ".snapshot", ".snapshots", ".zfs"}
"""What a filesystem itself puts into its topmost folder."""


def create(
    target: str, root: Path, overrides: dict[str, Any], code_folder: Path | None
) -> Manifest:
    """Makes `root` a run of the experiment `target` (FILE or FILE:NAME); returns its manifest.

    Raises UsageError, ExperimentError, InvalidSetting, RunExists, NotARun for a directory that
    holds something else, NotWritable, DiskFull. A failure leaves the directory as it was.
    """
    file, attribute = split_target(target)
    name = relative_file(file, code_folder)
    paths = RunPaths(root)
    with _reserved(paths):
        staged = paths.staged_experiment(os.urandom(4).hex())
        copy_code(file, code_folder, staged)
        facts = _checked(staged, name, attribute, overrides, file, code_folder)
        experiment = {
            "file": name,
            "attribute": attribute,
            "digest": digest_code(staged),
            "overrides": overrides,
        }
        os.rename(staged, paths.experiment)
        return _publish(paths, facts, experiment)


def _publish(paths: RunPaths, facts: dict[str, Any], experiment: dict[str, Any]) -> Manifest:
    mutator = _Described(facts["mutator"])
    space = Space.from_data(facts["space"]) if facts["space"] else None
    manifest = new_manifest(
        facts["hparams"],
        mutator,
        mode=facts["mode"],
        seed=facts["seed"],
        space=space,
        experiment=experiment,
        **facts["settings"],
    )
    PopulationController.create(paths.root, manifest, mutator, space)
    return manifest


@dataclasses.dataclass(frozen=True)
class _Described(Mutator):
    """A mutator as the fresh process described it: enough to begin a run, not to decide in one."""

    described: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.described["name"])

    def settings(self) -> dict[str, Any]:
        return dict(self.described["settings"])

    def init(self) -> MutatorState:
        return dict(self.described["memory"])


def _checked(
    staged: Path,
    name: str,
    attribute: str,
    overrides: dict[str, Any],
    file: Path,
    code_folder: Path | None,
) -> dict[str, Any]:
    try:
        return check_in_fresh_process(staged, name, attribute, overrides)
    except ExperimentError as error:
        missing = (error.attributes.get("missing") or "").partition(".")[0]
        beside = [file.parent / missing, file.parent / f"{missing}.py"] if missing else []
        if code_folder is None and any(path.exists() for path in beside):
            advice = f"it lies beside {file}, so copy both with --code {file.parent}"
            raise ExperimentError(f"{error.message}; {advice}") from error
        raise


# ---- the directory -------------------------------------------------------------------------------


@contextlib.contextmanager
def _reserved(paths: RunPaths) -> Iterator[None]:
    """The directory for one init alone, cleaned of what a dead init left."""
    is_new = not paths.root.exists()
    try:
        is_left_over = _check_ours(paths)
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.init_lock.touch()
    except OSError as error:
        raise as_fspop_error(error, Path(error.filename), "cannot create") from error
    lock = _lock(paths)
    try:
        _check_no_run(paths)
        if is_left_over:
            _clear(paths)
        try:
            yield
        except BaseException:
            if not paths.manifest.exists():
                _clear(paths)
            raise
    finally:
        remove(paths.init_lock)
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):
                paths.root.rmdir()  # only while nothing is in it


def _check_ours(paths: RunPaths) -> bool:
    """Whether an init was here, or is. Raises RunExists, and NotARun for a foreign directory."""
    try:
        names = set(list_names(paths.root)) - HARMLESS
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise NotARun(
            f"{paths.root}: it, or a part of the path, is a file; choose another --dir"
        ) from error
    _check_no_run(paths)
    was_here = paths.init_lock.name in names
    foreign = sorted(n for n in names if not (was_here and paths.is_part_of_init(n)))
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise NotARun(
            f"{paths.root}: not empty and not a run (it holds {', '.join(foreign[:3])}{more}); "
            "nothing was touched, choose an empty or new --dir",
            path=paths.root,
        )
    return was_here


def _check_no_run(paths: RunPaths) -> None:
    if paths.manifest.exists():
        raise RunExists(
            f"{paths.root}: already a run; train it with 'fspop worker --id 0 --dir {paths.root}', "
            "or choose another --dir",
            path=paths.root,
        )


def _lock(paths: RunPaths) -> FileLock:
    """The lock of this directory's inits; a filesystem without locks is gone without."""
    lock = FileLock(paths.init_lock, mode=0o664, fallback_to_soft=False)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            lock.acquire(timeout=0)
            return lock
        except (OSError, NotImplementedError) as error:
            if not isinstance(error, Timeout):
                return lock
        _check_no_run(paths)
        if time.monotonic() > deadline:
            raise TryLater(
                f"{paths.root}: another 'fspop init' has been at work here for {PATIENCE_S:.0f} s; "
                "end it or wait for it, then try again",
                path=paths.root,
            )
        time.sleep(0.1)


def _clear(paths: RunPaths) -> None:
    """Removes what an init makes; only under the lock, and never once there is a manifest."""
    for name in list_names(paths.root):
        path = paths.root / name
        if name == paths.init_lock.name or not paths.is_part_of_init(name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            remove(path)
