"""A folder of checkpoints that one trainer fills and resumes from."""

import contextlib
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fspop.errors import Damaged, NotWritable, TaskError
from fspop.training.checkpoint import (
    make_temporary,
    save_checkpoint,
    temporary_for,
    temporary_name,
)
from fspop.training.checkpoint_index import INDEX, entry_of, opened_state, read_index, write_index
from fspop.training.durable import fsync_folder, write_error
from fspop.training.saver import Saver
from fspop.training.state_file import file_name
from fspop.training.written import SavedCheckpoint, write_file


class CheckpointFolder:
    """The checkpoints called `name` in `folder`, and an index that names the complete ones. One
    trainer at a time writes them.

    `<name>_epoch_<e>_iter_<i>` are the checkpoints, `best_<name>` is a link to the best one,
    `<name>_checkpoints.json` lists them with their digests in the order they were written. A
    checkpoint is in the index only when it is durable, and out of it before it is deleted; so a
    process that dies in here loses at most the checkpoint it was about to write.
    """

    def __init__(self, folder: str | Path, name: str, keep: int = 0):
        self.folder, self.name, self.keep = Path(folder), name, keep
        self.index = self.folder / INDEX.format(name=name)
        self.best_link = self.folder / f"best_{name}"
        self._history = f"{name}_history.json"
        self._saver: Saver | None = None
        self._begun: Path | None = None
        self._used = False

    @property
    def history_path(self) -> Path:
        """Where the history goes; its folder exists."""
        return self._ready() / self._history

    def save(self, state: dict[str, Any], epoch: int, iteration: int) -> Path:
        """Writes a checkpoint of this place; the oldest go where `keep` says how many may stay."""
        self.finish()
        path = self._path(epoch, iteration)
        self._name(path, self._save_over(path, state))
        return path

    def begin(self, state: dict[str, Any], epoch: int, iteration: int) -> Path | None:
        """Copies the state and writes it in the background; `finish` names what has become durable.

        Where a checkpoint of this place exists already it is written over at once, and returned.
        """
        self.finish()
        path = self._path(epoch, iteration)
        if path.exists():
            self._name(path, self._save_over(path, state))
            return path
        self._saver = self._saver or Saver()
        self._saver.begin(path, state)
        self._begun = path
        return None

    def finish(self, wait: bool = True) -> Path | None:
        """The begun checkpoint, once it is durable and named; None where there is none (yet).

        Raises what saving it raised; called again after that it writes the same copy again, unless
        that can never work. Without `wait` it only looks.
        """
        if self._begun is None or self._saver is None or (not wait and self._saver.in_flight):
            return None
        path = self._begun
        try:
            self._name(path, self._saver.wait())
        except (Damaged, TaskError):
            self._begun = None
            raise
        self._begun = None
        return path

    def give_up(self) -> None:
        """Forgets a begun checkpoint that could not be written."""
        self._begun = None
        self.close()

    def close(self) -> None:
        """Ends the thread and frees the memory that `begin` used; `finish` first.

        A copy that could not be written yet stays, for the next `finish`.
        """
        if self._saver is not None and self._begun is None:
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
            fsync_folder(self.folder)  # before the one it led to goes
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
        in `opened_state`. A missing index is made anew.
        """
        self._recover()
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
        if not self._used:
            self._sweep()
            self._recover()
            self._used = True
        return self.folder

    def _sweep(self) -> None:
        """Deletes what a process that died in here left half written."""
        written = "|".join(map(re.escape, (self.index.name, self._history, self.best_link.name)))
        partial = re.compile(rf"\.({written})\.\d+\.part")
        for name in os.listdir(self.folder):
            if partial.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
            elif self._iteration_of(temporary_for(name) or "") is not None:
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def _iteration_of(self, name: str) -> int | None:
        """Where the checkpoint of this name was written; None for any other name."""
        form = rf"(?:best_)?{re.escape(self.name)}_epoch_\d+_iter_(\d+)"
        match = re.fullmatch(form, name)
        return int(match[1]) if match else None

    def _recover(self) -> None:
        """Makes a missing index anew, with a warning, from the checkpoints that are there.

        It was deleted or not copied, or a process died before it named its first checkpoint.
        """
        if self.index.exists() or not self.folder.is_dir():
            return
        found = [name for name in os.listdir(self.folder) if self._iteration_of(name) is not None]
        found.sort(key=lambda name: self._iteration_of(name) or 0)
        entries = [entry for name in found if (entry := entry_of(self.folder / name))]
        if entries:
            self._put(entries)
            warnings.warn(
                f"{self.index} was missing; made anew from the {len(entries)} checkpoints there",
                stacklevel=6,
            )

    def _name(self, path: Path, saved: SavedCheckpoint) -> None:
        entry = {"name": path.name, "digest": saved.digest, "size_bytes": saved.size_bytes}
        self._put([*(each for each in self._entries() if each["name"] != path.name), entry])
        if self.keep and not self._is_best(path.name):
            self._forget(self.names()[: -self.keep])

    def _save_over(self, path: Path, state: dict[str, Any]) -> SavedCheckpoint:
        try:
            return save_checkpoint(path, state)
        except Damaged:  # another one is there
            name = file_name(state)
            if not path.is_symlink() and path.is_dir() and os.listdir(path) == [name]:
                return self._replace(path / name, state)
            self._forget([path.name])  # half deleted, or nothing to resume from
            return save_checkpoint(path, state)

    def _replace(self, file: Path, state: dict[str, Any]) -> SavedCheckpoint:
        """Puts a state into the place of another one. The file is always one of them, whole, and
        the index names the digests of both for that time.
        """
        temporary = temporary_name(file.parent)
        try:
            make_temporary(temporary)
            saved = write_file(temporary / file.name, state)
            self._announce(file.parent.name, saved)
            os.replace(temporary / file.name, file)
            fsync_folder(file.parent)
        except OSError as error:
            raise write_error(error, file.parent) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return saved

    def _announce(self, name: str, saved: SavedCheckpoint) -> None:
        entries = self._entries()
        for entry in entries:
            if entry["name"] == name:
                entry["before"] = [entry["digest"], *entry.get("before", [])]
                entry["digest"] = saved.digest
        self._put(entries)

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
        write_index(self.index, entries)

    def _is_best(self, name: str) -> bool:
        return name.startswith(f"best_{self.name}_epoch_")

    def _best(self) -> str | None:
        with contextlib.suppress(OSError):
            return os.readlink(self.best_link)
        return None
