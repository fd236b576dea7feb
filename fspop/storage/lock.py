"""The commit lock: it keeps contention low, and nothing is unsafe without it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE_S = 2.0
POLL_INTERVAL_S = 0.005


class CommitLock:
    """flock on one never-removed file, polled because a blocking flock on NFS waits in steps of a
    second.

    A lock that cannot be had within `patience_s` (a stopped holder, a hung mount, no flock at all)
    is gone without, and from then on tried only once per commit until it was had again.
    """

    def __init__(self, path: Path, patience_s: float = PATIENCE_S):
        self._path = path
        self._patience_s = patience_s
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._missed = False
        self._lock = FileLock(
            self._path,
            mode=0o664,
            poll_interval=POLL_INTERVAL_S,
            fallback_to_soft=False,
            thread_local=False,
        )

    def acquire(self) -> bool:
        """Whether the lock was had; False means: go on without it."""
        if self._pid != os.getpid():
            self._begin()  # a forked child: filelock refuses a lock made by its parent
        timeout = 0.0 if self._missed else self._patience_s
        try:
            self._lock.acquire(timeout=timeout)
            self._missed = False
        except (Timeout, OSError, NotImplementedError):
            self._missed = True
        return not self._missed

    def release(self) -> None:
        """Lets the lock go, if held. An error here is the next holder's business, not the
        commit's.
        """
        with contextlib.suppress(OSError):
            self._lock.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """The lock for a block, for callers other than commit (init)."""
        had = self.acquire()
        try:
            yield had
        finally:
            if had:
                self.release()
