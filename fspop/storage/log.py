"""The log on a shared filesystem: lock-protected, never lock-dependent.

Safety rests on `link()` to a name that must not exist, which every shared filesystem decides on the
server. Reading follows one rule: list the log, read the bytes, then list the snapshots; bytes
below the newest snapshot are garbage (a name freed by compaction and taken again by a process that
slept).
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fspop.errors import Damaged, FspopError, NotARun
from fspop.paths import RunPaths
from fspop.records import AnyOp, Record, State
from fspop.storage import codec
from fspop.storage.atomic import FULL, as_fspop_error, create, list_names, read, remove, sync_folder
from fspop.storage.base import Build, Committed, Transactions, next_record
from fspop.storage.crash import reach
from fspop.storage.lock import CommitLock
from fspop.storage.snapshot import compact, follow, history_record, load_snapshot, newest_snapshot

T = TypeVar("T")

FRESH_LISTINGS = 5
"""So many listings in a row must show a gap before it counts as damage."""
PATIENCE_S = 30.0
"""How long errors that a server's restart explains are retried."""


class _Gap(Exception):
    """A listing shows a record whose predecessor it does not show."""


class _Attempts:
    """The tries of one commit: all share a transaction's name, each has a temporary of its own."""

    def __init__(self, txn: str):
        self.txn = txn
        self.seq: int | None = None
        self.count = 0

    def begin(self, seq: int) -> int:
        """The number of the attempt at record `seq` that begins now."""
        self.seq = seq
        self.count += 1
        return self.count


class FileLog:
    """The log of one run directory, as one process sees it. Shared by threads; not across a
    fork.
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
        self._state = State()
        self._recent: dict[int, bytes] = {}
        self._snapshot = 0

    # -- reading
    def refresh(self) -> State:
        """The newest state. Raises Damaged for a gap, a bad checksum or a broken chain that
        stays.
        """
        with self._threads:
            return self._patiently(lambda: self._catch_up(None)[0])

    def _catch_up(
        self, txn: str | None, attempted: int | None = None
    ) -> tuple[State, Record | None]:
        """Folds what is new; also returns the record of transaction `txn` where it turns out to
        exist.
        """
        for listing in range(FRESH_LISTINGS):
            if listing:
                time.sleep(0.002 * 4**listing)
            try:
                mine = self._catch_up_once(txn, attempted)
                return self._state, mine
            except FileNotFoundError as error:
                self._check_still_there(error)  # else: compacted between listing and reading
            except _Gap:
                pass
            except Damaged:
                self._forget()
                if listing + 1 == FRESH_LISTINGS:
                    raise
        raise Damaged(
            f"{self._paths.log}: record {self._state.seq} is missing though later ones exist; "
            "restore the folder from a backup (nothing was changed)",
            path=self._paths.log,
        )

    def _catch_up_once(self, txn: str | None, attempted: int | None) -> Record | None:
        """One listing's worth. Raises _Gap, FileNotFoundError or Damaged, all worth another
        listing.
        """
        start = self._state.seq
        names = set(list_names(self._paths.log))
        new: list[bytes] = []
        while self._paths.record(start + len(new)).name in names:
            new.append(read(self._paths.record(start + len(new))))
        self._snapshot = newest_snapshot(self._paths)
        if self._snapshot > start:
            return self._jump(self._snapshot, txn, attempted)
        last = max((n for n in map(RunPaths.record_seq, names) if n is not None), default=-1)
        if last >= start + len(new):
            raise _Gap
        if last < start - 1 and self._snapshot < start:
            self._forget()  # the server lost what it had promised: begin again from what it has
            return self._catch_up_once(txn, attempted)
        return self._fold_all(new, txn)

    def _jump(self, snapshot: int, txn: str | None, attempted: int | None) -> Record | None:
        """Goes on from a snapshot; an attempt below it is in the history or was never a record."""
        self._state = load_snapshot(self._paths, snapshot)
        self._recent.clear()
        if attempted is not None and attempted < snapshot:
            found = history_record(self._paths, attempted, self._size)
            if found.txn == txn:
                return found
        return self._catch_up_once(txn, attempted)

    def _check_still_there(self, error: FileNotFoundError) -> None:
        folders = (self._paths.log, self._paths.snapshots)
        if error.filename and Path(error.filename) in folders:
            raise NotARun(
                f"{self._paths.root}: the run directory is gone; nothing was created in its place",
                path=self._paths.root,
            ) from error

    def _fold_all(self, new: list[bytes], txn: str | None) -> Record | None:
        mine = None
        for raw in new:
            path = self._paths.record(self._state.seq)
            state, record = follow(self._state, raw, path)
            self._remember(state, raw)
            if record.txn == txn:
                mine = record
        return mine

    def _remember(self, state: State, raw: bytes) -> None:
        self._recent[self._state.seq] = raw
        self._recent.pop(self._state.seq - 2 * self._size, None)
        self._state = state

    def _forget(self) -> None:
        self._state = State()
        self._recent.clear()

    # -- writing
    def commit(self, worker: str, build: Build) -> Committed:
        """Appends one record; see `Log.commit`. Raises DiskFull, NotWritable or
        StorageUnavailable.
        """
        with self._threads:
            attempts = _Attempts(self._transactions.next())
            committed = self._patiently(lambda: self._try(attempts, worker, build))
            reach("commit.acknowledged")
            self._compact_when_due(committed)
            return committed

    def _try(self, attempts: _Attempts, worker: str, build: Build) -> Committed:
        """Tries until somebody's record with this transaction's name is in the log for good."""
        while True:
            record = self._try_once(attempts, worker, build)
            if record is None:
                continue
            if isinstance(record, Committed):
                return record
            sync_folder(self._paths.log)
            reach("commit.synced")
            if self._is_for_good(record):
                self._catch_up(None)
                return Committed(self._state, record)

    def _try_once(
        self, attempts: _Attempts, worker: str, build: Build
    ) -> Record | Committed | None:
        """The record if it was linked (or turns out to have been), None if somebody else was
        first.
        """
        had_lock = self._lock.acquire() if self._lock else False
        temporary = None
        try:
            reach("commit.locked")
            state, mine = self._catch_up(attempts.txn, attempts.seq)
            if mine:
                return mine
            self._check_tail(state)
            ops: Sequence[AnyOp] = build(state)
            if not ops:
                return Committed(state, None)
            record = next_record(state, attempts.txn, worker, ops)
            raw = codec.encode(record)
            reach("commit.built")
            temporary = self._paths.attempt(record.seq, attempts.txn, attempts.begin(record.seq))
            create(temporary, raw)
            reach("commit.written")
            return record if self._link(temporary, record.seq) else None
        finally:
            if had_lock and self._lock:
                self._lock.release()
            reach("commit.unlocked")
            if temporary:
                remove(temporary)

    def _link(self, temporary: Path, seq: int) -> bool:
        try:
            os.link(temporary, self._paths.record(seq))
        except FileExistsError:
            return False
        reach("commit.linked")
        return True

    def _check_tail(self, state: State) -> None:
        """Before building on the last record: is it still what was folded? A server may have lost
        it.
        """
        if state.seq <= self._snapshot or state.seq == 0:
            return
        path = self._paths.record(state.seq - 1)
        if codec.digest(read(path)) != state.digest:
            self._forget()
            self._catch_up(None)
            raise FileNotFoundError(path)

    def _is_for_good(self, record: Record) -> bool:
        """Whether a linked record counts: its name may have been freed by compaction while we
        slept.
        """
        self._snapshot = newest_snapshot(self._paths)
        if self._snapshot <= record.seq:
            return True
        return history_record(self._paths, record.seq, self._size).txn == record.txn

    # -- trouble
    def _patiently(self, call: Callable[[], T]) -> T:
        """Retries errors that a restarting server explains, then raises the named error."""
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.005
        while True:
            try:
                return call()
            except FspopError:
                raise
            except OSError as error:
                named = as_fspop_error(error, Path(error.filename or self._paths.log), "cannot use")
                if error.errno in FULL or time.monotonic() > deadline:
                    raise named from error
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.5)

    # -- compaction
    def _compact_when_due(self, committed: Committed) -> None:
        if committed.record is None:
            return
        after = committed.record.seq + 1
        if after % max(1, self._size // 8) or after - self._snapshot < self._size:
            return
        try:
            compact(self._paths, after, self._size, self._transactions.next(), self._recent.get)
        except (OSError, Damaged):
            pass  # the commit stands; whoever commits next tries again
