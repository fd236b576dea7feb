"""Which checkpoints of a folder are complete, and reading one of them."""

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fspop.errors import Damaged
from fspop.training.checkpoint import mapped_checkpoint
from fspop.training.durable import replace_file
from fspop.training.hashed import HashedReader
from fspop.training.opened import opened

FORMAT = 1
INDEX = "{name}_checkpoints.json"


def opened_state(
    path: str | os.PathLike[str], map_location: Any = "cpu"
) -> AbstractContextManager[dict[str, Any]]:
    """The state in a checkpoint folder, or in one that a link such as `best_ck` points to, for as
    long as the block runs (see `mapped_checkpoint`).

    Its digest is compared where an index beside it names one. Raises Damaged for what is missing,
    incomplete, altered or not loadable without executing it.
    """
    path = Path(path)
    if not path.exists():
        raise Damaged(
            f"{path}: there is no checkpoint; look for its name in {path.parent}", path=str(path)
        )
    path = path.resolve()
    return mapped_checkpoint(path, _digest_of(path), map_location)


def read_index(path: Path) -> list[dict[str, Any]]:
    """The entries of an index, oldest first; [] where there is none."""
    try:
        data = json.loads(path.read_bytes())
        entries = data["checkpoints"]
        if any("/" in entry["name"] or entry["name"] in (".", "..") for entry in entries):
            raise ValueError("a name is no file name")
        if not all(isinstance(entry["digest"], str) for entry in entries):
            raise ValueError("a digest is none")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"{path}: not an index of checkpoints ({error}); remove it: it is made anew from the "
            "checkpoints that are there",
            path=str(path),
        ) from error
    return list(entries)


def write_index(path: Path, entries: list[dict[str, Any]]) -> None:
    """Replaces the index, durably."""
    data = {"format": FORMAT, "checkpoints": entries}
    replace_file(path, json.dumps(data, indent=1).encode())


def entry_of(path: Path) -> dict[str, Any] | None:
    """What an index says of this checkpoint; None where it is none."""
    try:
        with opened(path) as file:
            size_bytes, digest = os.fstat(file.fileno()).st_size, HashedReader(file.fileno())
            return {"name": path.name, "digest": digest.digest(), "size_bytes": size_bytes}
    except Damaged:
        return None


def _digest_of(path: Path) -> str | None:
    for index in sorted(path.parent.glob(INDEX.format(name="*"))):
        for entry in read_index(index):
            if entry["name"] == path.name:
                return _digest_in(path, [entry["digest"], *entry.get("before", [])])
    return None


def _digest_in(path: Path, digests: list[str]) -> str:
    """The one the checkpoint has, where a process died while it put it into another's place."""
    if len(digests) == 1:
        return digests[0]
    with opened(path) as file:
        found = HashedReader(file.fileno()).digest()
    return found if found in digests else digests[0]
