"""Saving while training goes on: the state is copied at once, a thread makes it durable."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from fspop.errors import UsageError
from fspop.training import state_file
from fspop.training.checkpoint import save_checkpoint
from fspop.training.plain_copy import copy_state
from fspop.training.written import SavedCheckpoint

if TYPE_CHECKING:
    from fspop.training.host_copy import HostCopy


class Saver:
    """Writes one checkpoint at a time in the background; for one thread, the one that trains.

    `begin` copies the state into host memory that is kept for the next one (so a saver costs that
    much memory), and `wait` gives what a record says about it, when it is durable. Whatever the
    writing raises comes out of the next `wait`, `begin` or `close`, once. A process that dies
    leaves what `save_checkpoint` says: a whole checkpoint, or none and a temporary.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "fspop-saver")  # started by the first save
        self._host: HostCopy | None = None
        self._flight: Future[SavedCheckpoint] | None = None
        self._saved: SavedCheckpoint | None = None
        self._write: Callable[[], SavedCheckpoint] | None = None
        """The save begun last, until it came through: its copy is still there to be tried again."""

    @property
    def in_flight(self) -> bool:
        """Whether a save is still being written, so that `wait` would have to."""
        return self._flight is not None and not self._flight.done()

    def begin(self, folder: Path, state: dict[str, Any]) -> None:
        """Copies `state` and begins to save it as `save_checkpoint(folder, state)` does.

        When it returns, `state` may change. Waits for the save in flight first; where that one
        failed, raises what it raised and begins nothing. Raises TaskError for a state that is not
        tensors and plain data.
        """
        self._land()
        self._saved = self._write = None  # the last copy's memory is about to be used again
        copied = self._copy(state)
        self._write = lambda: self._save(folder, copied)
        self._flight = self._thread.submit(self._write)

    def wait(self) -> SavedCheckpoint:
        """What the last `begin` saved, once it is durable; raises what `save_checkpoint` raises.

        Called again after it (or `begin`) raised that, it writes the same copy again: a full disk
        costs nothing but time.
        """
        if self._flight is None and self._write is not None:
            self._flight = self._thread.submit(self._write)
        self._land()
        if self._saved is None:
            raise UsageError("Saver.wait(): nothing was begun; call begin(folder, state) first")
        return self._saved

    def close(self) -> None:
        """Waits for the save in flight, raises what it raised, and frees the memory."""
        try:
            self._land()
        finally:
            self._thread.shutdown()
            self._host = self._write = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _land(self) -> None:
        if self._flight is None:
            return
        wait([self._flight])  # interrupted here, it stays in flight
        flight, self._flight = self._flight, None
        self._saved = flight.result()
        self._write = None

    def _save(self, folder: Path, copied: dict[str, Any]) -> SavedCheckpoint:
        return save_checkpoint(folder, copied)

    def _copy(self, state: dict[str, Any]) -> dict[str, Any]:
        if state_file.file_name(state) == state_file.JSON_FILE:
            return cast(dict[str, Any], copy_state(state, lambda value: value))
        if self._host is None:
            from fspop.training.host_copy import HostCopy

            self._host = HostCopy()
        return self._host.of(state)
