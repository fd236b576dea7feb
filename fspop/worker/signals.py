"""Stopping on request: SIGTERM, SIGINT and Slurm's warning before a time limit."""

import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Set by the first signal; the worker then saves, releases and exits 0. A second SIGINT is
    rude.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def install(self) -> None:
        """Routes the signals here; main thread only."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody asked this worker to stop."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Sleeps up to `timeout_s`; True as soon as a stop is asked for."""
        return self._event.wait(timeout_s)
