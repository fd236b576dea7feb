"""Writing a checkpoint with several ranks: each its part, published when all parts are durable."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fspop.errors import TaskError
from fspop.training import state_file
from fspop.training.checkpoint import make_temporary, publish, temporary_name
from fspop.training.durable import write_error
from fspop.training.leaf_digest import leaf_digest
from fspop.training.opened import RANKS_FILE
from fspop.training.plain_copy import copy_state
from fspop.training.ranked_reading import FORMAT
from fspop.training.ranks import Ranks
from fspop.training.written import SavedCheckpoint, write_file

Shards = dict[int, Any]
"""Tensors that are spread over ranks (DTensor), by the number of their leaf."""


class Part(NamedTuple):
    """What one rank writes: a state without shards, and its shards."""

    state: dict[str, Any]
    shards: Shards


def split(state: dict[str, Any], ranks: Ranks) -> Part:
    """This rank's part of a member's state, {"task": …, "random": …}; all ranks call it.

    The first rank's holds everything; another's only the leaves that differ from the first one's,
    which costs each rank a look at every byte. Raises TaskError where the states are no state, or
    not of one shape.
    """
    leaves, shards, plain = ranks.together(lambda: _take_apart(state["task"]))
    digests = ranks.each(lambda: [leaf_digest(leaf) for leaf in leaves])
    for rank, theirs in enumerate(digests):
        if len(theirs) != len(digests[0]):
            raise TaskError(
                f"state_dict(): rank {rank} gave {len(theirs)} values, rank 0 {len(digests[0])}; "
                "on every rank it must hold the same keys"
            )
    if ranks.rank == 0:
        return Part({"task": plain, "random": state["random"]}, shards)
    differing = {
        str(number): leaf
        for number, leaf in enumerate(leaves)
        if digests[ranks.rank][number] != digests[0][number]
    }
    return Part({"leaves": differing, "random": state["random"]}, shards)


def save_ranked(folder: Path, part: Part, ranks: Ranks) -> SavedCheckpoint:
    """As `save_checkpoint`, called by all ranks, each with its part; all return the same.

    Nothing is there under the name before every rank's part is durable. An error of one rank is
    raised on all. Raises RankLost where a rank is gone.
    """
    temporary = ranks.share(lambda: _made(temporary_name(folder)))
    try:
        files = ranks.each(lambda: _write_state(temporary, part, ranks.rank))
        tensors: dict[str, Any] = {}
        if ranks.share(lambda: bool(part.shards)):
            from fspop.training.sharded import write_tensors

            written, tensors = write_tensors(temporary, part.shards, ranks)
            files += written
        return ranks.share(lambda: _publish(temporary, folder, files, tensors, ranks))
    except RuntimeError as error:
        raise ranks.lost(error) from error
    finally:
        if ranks.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)


def _take_apart(state: dict[str, Any]) -> tuple[list[Any], Shards, dict[str, Any]]:
    leaves: list[Any] = []
    shards: Shards = {}

    def take(value: Any) -> Any:
        if hasattr(value, "placements") and hasattr(value, "device_mesh"):
            shards[len(leaves)] = value
            value = None
        leaves.append(value)
        return value

    plain = copy_state(state, take)
    state_file.file_name({"task": plain})  # raises for what is neither tensors nor plain data
    return leaves, shards, plain


def _made(temporary: Path) -> Path:
    with _errors_of(temporary):
        make_temporary(temporary)
    return temporary


def _write_state(temporary: Path, part: Part, rank: int) -> tuple[str, SavedCheckpoint]:
    prefix = f"rank-{rank}." if rank else ""
    name = prefix + state_file.file_name(part.state)
    with _errors_of(temporary):
        return name, write_file(temporary / name, part.state)


def _publish(
    temporary: Path,
    folder: Path,
    files: list[tuple[str, SavedCheckpoint]],
    tensors: dict[str, Any],
    ranks: Ranks,
) -> SavedCheckpoint:
    index = {
        "format": FORMAT,
        "world_size": ranks.world_size,
        "files": {name: list(saved) for name, saved in sorted(files)},
        "tensors": tensors,
    }
    with _errors_of(folder):
        saved = write_file(temporary / RANKS_FILE, index)
        publish(temporary, folder, saved.digest)
    size_bytes = saved.size_bytes + sum(each.size_bytes for _, each in files)
    return SavedCheckpoint(size_bytes, saved.digest)


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(error, path) from error
