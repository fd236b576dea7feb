"""The log on a shared filesystem: lock-protected, never lock-dependent.

Safety rests on `link()` to a name that must not exist, which every shared filesystem decides on the
server, and on the reader's rule that names below the newest snapshot are garbage.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fspop.errors import Damaged
from fspop.paths import RunPaths
from fspop.records import AnyOp, State
from fspop.storage.atomic import HOPELESS, as_fspop_error, create, remove, sync_folder
from fspop.storage.base import Build, Committed, Transactions
from fspop.storage.chain import Prepared, prepare
from fspop.storage.crash import reach
from fspop.storage.lock import CommitLock
from fspop.storage.reader import Attempts, LogReader
from fspop.storage.snapshot import compact, history_record, newest_snapshot

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long errors that a server's restart explains are retried."""
MIN_TRIES = 5
"""And how often at least: a process may have been stopped for longer than that."""
LONGEST_COURTESY_S = 0.02
"""How long at most a committer lets the next one's flush carry its own along."""


class _FromBuild(Exception):
    """An OSError of the caller's `build`, kept apart from those of the storage."""

    def __init__(self, error: OSError):
        super().__init__(error)
        self.error = error


class FileLog:
    """The log of one run directory, as one process sees it. Shared by threads; a forked child may
    go on with its copy unless another thread was using it at the time.
    """

    def __init__(
        self,
        paths: RunPaths,
        records_per_segment: int = 256,
        *,
        use_lock: bool = True,
        patience_s: float = PATIENCE_S,
    ):
        self._paths = paths
        self._size = records_per_segment
        self._patience_s = patience_s
        self._lock = CommitLock(paths.lock) if use_lock else None
        self._threads = threading.RLock()
        self._transactions = Transactions()
        self._create_s = 0.0
        self._reader = LogReader(paths, records_per_segment)

    def refresh(self) -> State:
        """The newest state. Raises Damaged for a gap, a bad checksum or a broken chain that
        stays.
        """
        with self._threads:
            return self._patiently(self._reader.catch_up)

    def commit(self, worker: str, build: Build) -> Committed:
        """Appends one record; see `Log.commit`. Raises DiskFull, NotWritable or
        StorageUnavailable.
        """
        with self._threads:
            attempts = self._reader.attempts = Attempts(self._transactions.next())
            try:
                committed = self._patiently(lambda: self._try(attempts, worker, build))
            except _FromBuild as raised:
                raise raised.error from None
            finally:
                self._reader.attempts = None
            reach("commit.acknowledged")
            self._compact_when_due(committed)
            return committed

    def _try(self, attempts: Attempts, worker: str, build: Build) -> Committed:
        """Tries until this transaction's record is in the log for good."""
        while True:
            linked = None if attempts.found else self._try_once(attempts, worker, build)
            if isinstance(linked, Committed):
                return linked
            if linked is None and attempts.found is None:
                continue  # somebody else was first
            self._sync_folder()
            reach("commit.synced")
            if linked is None and attempts.found:
                return Committed(self._reader.state, attempts.found)
            if linked and self._is_for_good(linked):
                self._reader.advance(linked.state, linked.raw)
                return Committed(linked.state, linked.record)

    def _try_once(
        self, attempts: Attempts, worker: str, build: Build
    ) -> Prepared | Committed | None:
        """What was linked, or the state where there is nothing to say; None: somebody was first, or
        an earlier attempt turned out to have been linked.
        """
        had_lock = self._lock is not None and self._lock.acquire(self._reader.catch_up)
        temporary = None
        try:
            reach("commit.locked")
            state = self._reader.catch_up()
            if attempts.found:
                return None
            if not self._reader.tail_stands():
                self._reader.forget()
                return None
            ops = _operations(build, state)
            if not ops:
                return Committed(state, None)
            path = self._paths.record(state.seq)
            prepared = prepare(state, attempts.txn, worker, ops, path)
            reach("commit.built")
            temporary = self._paths.attempt(state.seq, attempts.txn, attempts.begin(state.seq))
            began = time.monotonic()
            create(temporary, prepared.raw)
            self._create_s = time.monotonic() - began
            reach("commit.written")
            return prepared if _link(temporary, path) else None
        finally:
            if had_lock and self._lock:
                self._lock.release()
            reach("commit.unlocked")
            if temporary:
                remove(temporary)

    def _sync_folder(self) -> None:
        """Makes the record's name durable.

        Where others wait for the lock, one of them is about to fsync its record, and a journalling
        filesystem then writes this name along. Giving it that time makes one flush out of two: 25 %
        more commits per second from eight processes on ext4.
        """
        if self._lock and self._lock.contended:
            time.sleep(min(self._create_s, LONGEST_COURTESY_S))
        sync_folder(self._paths.log)

    def _is_for_good(self, linked: Prepared) -> bool:
        """Whether a linked record counts: its name may have been freed by compaction while we
        slept.
        """
        record = linked.record
        if newest_snapshot(self._paths) <= record.seq:
            return True
        return history_record(self._paths, record.seq, self._size).txn == record.txn

    # -- trouble
    def _patiently(self, call: Callable[[], T]) -> T:
        """Retries errors that a restarting server explains, then raises the named error."""
        deadline, tries = time.monotonic() + self._patience_s, 0
        while True:
            try:
                return call()
            except OSError as error:
                named = as_fspop_error(error, Path(error.filename or self._paths.log), "cannot use")
                tries += 1
                if error.errno in HOPELESS or (time.monotonic() > deadline and tries >= MIN_TRIES):
                    raise named from error
                time.sleep(min(0.005 * 2**tries, 0.5))

    # -- compaction
    def _compact_when_due(self, committed: Committed) -> None:
        if committed.record is None:
            return
        after = committed.record.seq + 1
        if after % max(1, self._size // 8) or after - self._reader.snapshot < self._size:
            return
        try:
            compact(self._paths, after, self._size, self._transactions.next(), self._reader)
        except (OSError, Damaged):
            pass  # the commit stands; whoever commits next tries again


def _operations(build: Build, state: State) -> Sequence[AnyOp]:
    try:
        return build(state)
    except OSError as error:
        raise _FromBuild(error) from error


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    reach("commit.linked")
    return True
