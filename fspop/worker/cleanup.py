"""Deleting checkpoint folders: only what a record retired, or what no record ever named."""

import contextlib
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from fspop.paths import RunPaths
from fspop.records import Checkpoint, State, parse_generation_id
from fspop.storage.atomic import list_names
from fspop.storage.crash import reach
from fspop.training.checkpoint import temporary_for

log = logging.getLogger("fspop.worker")


def delete_retired(paths: RunPaths, retired: Iterable[Checkpoint]) -> None:
    """Deletes folders that a durable record retired; what fails is left for a sweep."""
    for checkpoint in retired:
        reach("worker.deleting")
        folder = paths.checkpoint(checkpoint.generation, checkpoint.step, checkpoint.term)
        _delete(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # succeeds once the generation has none left


def sweep(paths: RunPaths, state: State, member: int | None = None) -> None:
    """Deletes what dead workers left behind: folders that no record names any more or ever did, of
    `member`, or of all that are not trained any more.

    Of a member in training only those below its current term: its holder may be writing one.
    """
    named = {(c.generation, c.step, c.term) for c in state.kept}
    for generation in list_names(paths.checkpoints):
        parsed = parse_generation_id(generation)
        if parsed is None or parsed[0] >= len(state.members):
            continue
        owner = state.members[parsed[0]]
        if owner.index == member or (member is None and owner.status != "active"):
            term = owner.term if owner.status == "active" else owner.term + 1
            _sweep(paths.generation_checkpoints(generation), generation, named, term, paths)
            if parsed[1] < owner.generation.index:
                with contextlib.suppress(OSError):
                    paths.generation_checkpoints(generation).rmdir()


def _sweep(
    folder: Path, generation: str, named: set[tuple[str, int, int]], below: int, paths: RunPaths
) -> None:
    for name in _names(folder):
        found = paths.checkpoint_step_term(temporary_for(name) or name)
        if found and found[1] < below and (generation, *found) not in named:
            log.info("removing %s, which no record names", folder / name)
            _delete(folder / name)


def _names(folder: Path) -> list[str]:
    try:
        return list_names(folder)
    except OSError:
        return []


def _delete(folder: Path) -> None:
    if not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
