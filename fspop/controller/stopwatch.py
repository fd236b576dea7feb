"""Seconds of training for callers that do not count them themselves."""

import threading
import time
from collections.abc import Callable

from fspop.records import Generation


class Stopwatch:
    """Counts each member's current generation from when it was first seen here, on top of what was
    recorded by then. So time in which nobody trained, between two processes, does not count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self._lock = threading.Lock()
        self._started: dict[int, tuple[str, float, float]] = {}

    def seconds(self, generation: Generation) -> float:
        """How long this generation has trained by now; starts counting it if it is new."""
        now = self.clock()
        with self._lock:
            started = self._started.get(generation.member)
            if started is None or started[0] != generation.id:
                started = (generation.id, now, generation.train_s)
                self._started[generation.member] = started
        return round(started[2] + now - started[1], 3)
