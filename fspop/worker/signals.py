"""Stopping on request: SIGTERM, SIGINT and Slurm's warning before a time limit."""

import contextlib
import os
import select
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Set by the first signal; the worker then saves, releases and exits 0. A second SIGINT is
    rude.

    A pipe wakes the sleeper: a lock (as in threading.Event) could be held by the very code that the
    signal interrupts.
    """

    def __init__(self) -> None:
        self.is_set = False
        self.reason = ""
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install(self) -> None:
        """Routes the signals here; main thread only."""
        for number in SIGNALS:
            signal.signal(number, self._handle)
        os.register_at_fork(
            before=_block, after_in_parent=_unblock, after_in_child=_restore_defaults
        )

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_set and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)

    def request(self, reason: str) -> None:
        """Asks to stop, from anywhere."""
        self.reason = self.reason or reason
        self.is_set = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def wait(self, timeout_s: float) -> bool:
        """Sleeps up to `timeout_s`; True as soon as a stop is asked for."""
        if not self.is_set:
            select.select([self._reader], [], [], timeout_s)
        return self.is_set


# A child that a task forks (a pool, a data loader) must die of SIGTERM, not answer it in its
# parent's name. The signals are blocked around the fork, so that one which comes before the child
# has its own handlers waits for them.


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _restore_defaults() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _unblock()
