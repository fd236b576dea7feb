"""A folder of checkpoints that one trainer fills and resumes from."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fspop.errors import Damaged, NotWritable
from fspop.training.checkpoint import mapped_checkpoint, save_checkpoint
from fspop.training.durable import replace_file, write_error
from fspop.training.saver import Saver
from fspop.training.written import SavedCheckpoint

FORMAT = 1
_INDEX = "{name}_checkpoints.json"


class CheckpointFolder:
    """The checkpoints called `name` in `folder`, and an index that names the complete ones.

    `<name>_epoch_<e>_iter_<i>` are the checkpoints, `best_<name>` is a link to the best one,
    `<name>_checkpoints.json` lists them with their digests in the order they were written. A
    checkpoint is in the index only when it is durable, and out of it before it is deleted; so a
    process that dies in here loses at most the checkpoint it was about to write.
    """

    def __init__(self, folder: str | Path, name: str, keep: int = 0):
        self.folder, self.name, self.keep = Path(folder), name, keep
        self.index = self.folder / _INDEX.format(name=name)
        self.best_link = self.folder / f"best_{name}"
        self._saver: Saver | None = None
        self._begun: Path | None = None

    @property
    def history_path(self) -> Path:
        """Where the history goes; its folder exists."""
        return self._ready() / f"{self.name}_history.json"

    def save(self, state: dict[str, Any], epoch: int, iteration: int) -> Path:
        """Writes a checkpoint of this place; the oldest go where `keep` says how many may stay."""
        self.finish()
        path = self._path(epoch, iteration)
        self._name(path, self._save_over(path, state))
        return path

    def begin(self, state: dict[str, Any], epoch: int, iteration: int) -> None:
        """Copies the state and writes it in the background; `finish` names what has become durable.

        Where a checkpoint of this place exists already it is written over at once.
        """
        self.finish()
        path = self._path(epoch, iteration)
        if path.exists():
            self._name(path, self._save_over(path, state))
            return
        self._saver = self._saver or Saver()
        self._saver.begin(path, state)
        self._begun = path

    def finish(self, wait: bool = True) -> Path | None:
        """The begun checkpoint, once it is durable and named; None where there is none (yet).

        Raises what saving it raised. Without `wait` it only looks.
        """
        if self._begun is None or self._saver is None or (not wait and self._saver.in_flight):
            return None
        path, self._begun = self._begun, None
        self._name(path, self._saver.wait())
        return path

    def close(self) -> None:
        """Ends the thread and frees the memory that `begin` used; `finish` first."""
        if self._saver is not None:
            self._saver.close()
            self._saver = None

    def save_best(self, state: dict[str, Any], epoch: int, iteration: int) -> Path:
        """Writes a checkpoint and makes `best_<name>` link to it; the last best one goes."""
        before = self._best()
        path = self._ready() / f"best_{self.name}_epoch_{epoch}_iter_{iteration}"
        self._name(path, self._save_over(path, state))
        fresh = self.folder / f".{self.best_link.name}.{os.getpid()}.part"
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(path.name)
            os.replace(fresh, self.best_link)
        except OSError as error:
            raise write_error(error, self.best_link) from error
        if before is not None and before != path.name:
            self._forget([before])
        return path

    def names(self) -> list[str]:
        """The complete checkpoints training can resume from, in the order they were written."""
        return [entry["name"] for entry in self._entries() if not self._is_best(entry["name"])]

    @contextlib.contextmanager
    def newest(self, map_location: Any) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Name and state of the newest checkpoint that is whole; None where there never was one.

        Warns about each damaged one it passes over; Damaged where all of them are. The state is as
        in `opened_state`.
        """
        with contextlib.ExitStack() as stack:
            yield self._enter_newest(stack, map_location)

    def _enter_newest(
        self, stack: contextlib.ExitStack, map_location: Any
    ) -> tuple[str, dict[str, Any]] | None:
        found: Damaged | None = None
        for name in reversed(self.names()):
            try:
                return name, stack.enter_context(opened_state(self.folder / name, map_location))
            except Damaged as error:
                warnings.warn(f"{error}; trying the one before", stacklevel=5)
                found = found or error
        if found is not None:
            raise found
        return None

    def _path(self, epoch: int, iteration: int) -> Path:
        return self._ready() / f"{self.name}_epoch_{epoch}_iter_{iteration}"

    def _ready(self) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritable(
                f"Trainer.checkpoint_dir: {self.folder} cannot be made ({error.strerror}); give "
                "another checkpoint_dir",
                path=str(self.folder),
            ) from error
        return self.folder

    def _name(self, path: Path, saved: SavedCheckpoint) -> None:
        entry = {"name": path.name, "digest": saved.digest, "size_bytes": saved.size_bytes}
        self._put([*(each for each in self._entries() if each["name"] != path.name), entry])
        if self.keep and not self._is_best(path.name):
            self._forget(self.names()[: -self.keep])

    def _save_over(self, path: Path, state: dict[str, Any]) -> SavedCheckpoint:
        try:
            return save_checkpoint(path, state)
        except Damaged:  # another run's, or half deleted by a process that died
            self._forget([path.name])
            return save_checkpoint(path, state)

    def _forget(self, names: list[str]) -> None:
        entries = self._entries()
        left = [entry for entry in entries if entry["name"] not in names]
        if len(left) < len(entries):
            self._put(left)
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _entries(self) -> list[dict[str, Any]]:
        return read_index(self.index)

    def _put(self, entries: list[dict[str, Any]]) -> None:
        data = {"format": FORMAT, "checkpoints": entries}
        replace_file(self.index, json.dumps(data, indent=1).encode())

    def _is_best(self, name: str) -> bool:
        return name.startswith(f"best_{self.name}_epoch_")

    def _best(self) -> str | None:
        with contextlib.suppress(OSError):
            return os.readlink(self.best_link)
        return None


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
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"{path}: not an index of checkpoints ({error}); remove it, and load a checkpoint "
            "by its path",
            path=str(path),
        ) from error
    return list(entries)


def _digest_of(path: Path) -> str | None:
    for index in sorted(path.parent.glob(_INDEX.format(name="*"))):
        for entry in read_index(index):
            if isinstance(entry, Mapping) and entry["name"] == path.name:
                return str(entry["digest"])
    return None
