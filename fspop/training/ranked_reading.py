"""Reading a checkpoint that several ranks wrote: by the same ranks, by others, or by one process.

`ranks.json` names the files and their digests. The first rank's state is whole, but for the tensors
that are spread over ranks; another rank's file holds the leaves that differ on it.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fspop.errors import UnknownFormat
from fspop.training.opened import RANKS_FILE, damaged, mapped_file, read_file, read_ranks_file
from fspop.training.plain_copy import copy_state
from fspop.training.ranks import ALONE, Ranks

FORMAT = 1
Live = Callable[[], Any]


@contextlib.contextmanager
def mapped_state(
    folder: Path,
    digest: str | None,
    map_location: Any,
    ranks: Ranks = ALONE,
    live: Live | None = None,
) -> Iterator[dict[str, Any]]:
    """A checkpoint's state as `ranks` restores it, in the pages of its file where that is large.

    Tensors that were spread over ranks are spread as in `live()`, the state of the task that is to
    take them over, or come whole where it has none or is not given. "random" is None on a rank that
    the checkpoint knows nothing of. Raises Damaged, UnknownFormat, ConfigurationError.
    """
    index = read_ranks_file(folder, digest)
    if index is None:
        with mapped_file(folder, None, digest, map_location) as state:
            if ranks.rank:
                state["random"] = None
            yield state
        return
    files = _checked(folder, index)
    name = _find(folder, files, "state.")
    with mapped_file(folder, name, files[name][1], map_location) as state:
        found = {}
        if ranks.rank:
            found = _own(folder, index, map_location, state, ranks)
        if index["tensors"]:
            from fspop.training.sharded import read_tensors

            found |= read_tensors(folder, files, index["tensors"], map_location, live)
        state["task"] = _filled(state["task"], found)
        yield state


def read_state(folder: Path, digest: str | None, map_location: Any) -> dict[str, Any]:
    """A checkpoint's state in memory of its own, whole, as one process takes it over."""
    index = read_ranks_file(folder, digest)
    if index is None:
        return read_file(folder, None, digest, map_location)
    with mapped_state(folder, digest, map_location) as state:
        return dict(state)


def digests(folder: Path, digest: str | None) -> dict[str, str]:
    """The files that a checkpoint of several ranks has besides the one its digest is of."""
    index = read_ranks_file(folder, digest)
    if index is None:
        return {}
    return {name: told[1] for name, told in _checked(folder, index).items()}


def _own(
    folder: Path, index: dict[str, Any], map_location: Any, state: dict[str, Any], ranks: Ranks
) -> dict[int, Any]:
    """What differs on this rank; nothing is known of it where there were other ranks."""
    state["random"] = None
    if index["world_size"] != ranks.world_size:
        return {}
    name = _find(folder, index["files"], f"rank-{ranks.rank}.")
    own = read_file(folder, name, index["files"][name][1], map_location)
    state["random"] = own["random"]
    return {int(number): leaf for number, leaf in own["leaves"].items()}


def _filled(state: Any, found: dict[int, Any]) -> Any:
    """`state` with other leaves at these numbers, counted in the order copy_state meets them."""
    if not found:
        return state
    number = -1

    def fill(value: Any) -> Any:
        nonlocal number
        number += 1
        return found.get(number, value)

    return copy_state(state, fill)


def _checked(folder: Path, index: dict[str, Any]) -> dict[str, list[Any]]:
    if index.get("format") != FORMAT:
        raise UnknownFormat(
            f"{folder / RANKS_FILE}: got format {index.get('format')!r}, this fspop reads "
            f"{FORMAT}; upgrade fspop"
        )
    files: dict[str, list[Any]] = index["files"]
    if any("/" in name or name in (".", "..") for name in files):
        raise damaged(folder / RANKS_FILE, "a name in it is no file name")
    return files


def _find(folder: Path, files: dict[str, Any], prefix: str) -> str:
    found = [name for name in files if name.startswith(prefix)]
    if len(found) != 1:
        raise damaged(folder / RANKS_FILE, f"it names {len(found)} files {prefix}…, not one")
    return found[0]
