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

from fspop.errors import Damaged, FspopError
from fspop.paths import RunPaths
from fspop.records import AnyOp, State
from fspop.storage.atomic import HOPELESS, Offer, as_fspop_error, sync_folder
from fspop.storage.base import Build, Committed, Transactions
from fspop.storage.chain import Prepared, prepare
from fspop.storage.crash import reach
from fspop.storage.lock import CommitLock
from fspop.storage.pipeline import Pipeline
from fspop.storage.reader import Attempts, LogReader
from fspop.storage.snapshot import compact, history_record, newest_snapshot

T = TypeVar("T")

RETRIED_FOR_S = 30.0
"""How long errors that a server's restart explains are retried."""
MIN_TRIES = 5
"""And how often at least: a process may have been stopped for longer than that."""
PIPELINED_ABOVE_S = 0.001
"""From this time of a flush on, the lock is given back before it: below, handing the lock over and
reading what is only offered cost more than they save.
"""
PATIENCE = 5
"""How many flushes long a committer waits for the record it builds on to appear."""


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
        patience_s: float = RETRIED_FOR_S,
        pipelined_above_s: float = PIPELINED_ABOVE_S,
    ):
        self._paths = paths
        self._size = records_per_segment
        self._patience_s = patience_s
        self._lock = CommitLock(paths.lock) if use_lock else None
        self._threads = threading.RLock()
        self._transactions = Transactions()
        self._flush_s = 0.0
        self._pipelined_above_s = pipelined_above_s
        self._reader = LogReader(paths, records_per_segment)
        self._pipeline = Pipeline(paths, self._reader)

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
        offer: Offer | None = None
        try:
            state = self._newest(attempts)
            if state is None:
                return None
            tip = self._pipeline.tip(state) if had_lock else state
            ops = _operations(build, tip, for_good=tip is state)
            if not ops and tip is state:
                return Committed(state, None)
            if ops:
                path = self._paths.record(tip.seq)
                prepared = prepare(tip, attempts.txn, worker, ops, path)
                reach("commit.built")
                temporary = self._paths.attempt(tip.seq, attempts.txn, attempts.begin(tip.seq))
                offer = Offer(temporary, prepared.raw)
                reach("commit.offered")
            if self._flush_s > self._pipelined_above_s:
                self._release()
            if offer:
                self._sync(offer)
                reach("commit.written")
            if tip is not state and not self._pipeline.await_turn(tip, PATIENCE * self._flush_s):
                return None
            return prepared if offer and _link(temporary, path) else None
        finally:
            self._release()
            reach("commit.unlocked")
            if offer:
                offer.withdraw()

    def _release(self) -> None:
        if self._lock:
            self._lock.release()

    def _sync(self, offer: Offer) -> None:
        began = time.monotonic()
        offer.sync()
        self._flush_s += (time.monotonic() - began - self._flush_s) / 4

    def _newest(self, attempts: Attempts) -> State | None:
        """The newest state to build on; None where this transaction was found in the log, or where
        a server lost the last record.
        """
        reach("commit.locked")
        state = self._reader.catch_up()
        if attempts.found:
            return None
        if not self._reader.tail_stands():
            self._reader.forget()
            return None
        return state

    def _sync_folder(self) -> None:
        """Makes the record's name durable.

        Where others wait for the lock, one of them is about to fsync its record, and a journalling
        filesystem then writes this name along. Giving it that time makes one flush out of two: 25 %
        more commits per second from eight processes on ext4. Slow flushes overlap anyway.
        """
        if self._lock and self._lock.contended and self._flush_s <= self._pipelined_above_s:
            time.sleep(self._flush_s)
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


def _operations(build: Build, state: State, *, for_good: bool) -> Sequence[AnyOp]:
    """What `build` makes of a state; where that is only offered so far, an error of its is none:
    the caller asks again when the offers were kept, or were not.
    """
    try:
        return build(state)
    except OSError as error:
        if for_good:
            raise _FromBuild(error) from error
    except FspopError:
        if for_good:
            raise
    return []


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    reach("commit.linked")
    return True
