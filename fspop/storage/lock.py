"""The commit lock: it keeps contention low, and nothing is unsafe without it."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

PATIENCE_S = 2.0
POLL_INTERVAL_S = 0.005
IMPATIENT_S, IMPATIENT_INTERVAL_S = 0.1, 0.001
"""Who has waited this long polls faster, so that the longest waiting gets the lock soonest."""
LOOK_INTERVAL_S = 0.02
"""Reading what others commit meanwhile shortens the time under the lock, but each look costs."""


class CommitLock:
    """flock on one never-removed file, polled because a blocking flock on NFS waits in steps of a
    second. For one thread at a time.

    A lock that cannot be had within `patience_s` (a stopped holder, a hung mount, no flock at all)
    is gone without, and from then on tried only once per commit until it was had again.

    filelock's descriptor functions rather than its FileLock: that one costs 90 µs a try (opening,
    path checks), which eight waiting processes turn into a third of the throughput, and it makes
    the folders of a deleted run anew.
    """

    def __init__(self, path: Path, patience_s: float = PATIENCE_S):
        self._path = path
        self._patience_s = patience_s
        self._missed = False
        self._fd = -1
        self.contended = False
        """Whether it was held by somebody else when it was last wanted."""

    def acquire(self, while_waiting: Callable[[], object] = lambda: None) -> bool:
        """Whether the lock was had; False means: go on without it. Calls `while_waiting` now and
        then.
        """
        try:
            self._missed = not self._try_until(while_waiting)
        except OSError:
            self._missed = True
        return not self._missed

    def _try_until(self, while_waiting: Callable[[], object]) -> bool:
        patience_s = 0.0 if self._missed else self._patience_s
        began = looked = time.monotonic()
        self.contended = False
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o664)
            while not lock_descriptor(self._fd, blocking=False):
                self.contended = True
                now = time.monotonic()
                if now - began >= patience_s:
                    self._close()
                    return False
                if now - looked >= LOOK_INTERVAL_S:
                    while_waiting()
                    looked = now
                time.sleep(POLL_INTERVAL_S if now - began < IMPATIENT_S else IMPATIENT_INTERVAL_S)
            return True
        except BaseException:
            self._close()
            raise

    def release(self) -> None:
        """Lets the lock go, if held. An error here is the next holder's business, not the
        commit's.
        """
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            unlock_descriptor(self._fd)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1
