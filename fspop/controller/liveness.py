"""Is another worker alive? Proof on the same machine, patience with its heartbeat elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from fspop.paths import RunPaths
from fspop.records import State
from fspop.storage.heartbeat import Heartbeat, read_heartbeats
from fspop.storage.process import is_proven_dead, this_process

__all__ = [
    "MIN_OBSERVATIONS",
    "Heartbeat",
    "Liveness",
    "is_proven_dead",
    "read_heartbeats",
    "this_process",
]

MIN_OBSERVATIONS = 10
"""A lease runs out only after so many prompt looks at an unchanged heartbeat."""


@dataclass
class _Seen:
    """What an observer remembers of one process: since when has it looked the same?"""

    value: int | None
    since_s: float
    looks: int


class Liveness:
    """One observer's opinion of the other workers, on its own monotonic clock.

    Call `observe` every few seconds (it reads the heartbeats) and `dead` at any time. An unchanged
    counter for `lease_timeout_s`, or unchanged progress for `stall_timeout_s`, counts only over at
    least ten looks without a pause: a stall of the observer's own starts it over.
    """

    def __init__(
        self,
        paths: RunPaths,
        lease_timeout_s: float,
        stall_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._paths = paths
        self._lease_timeout_s = lease_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._counters: dict[str, _Seen] = {}
        self._progress: dict[str, _Seen] = {}
        self._last_look_s = clock()
        self.advancing: set[str] = set()

    @property
    def interval_s(self) -> float:
        """How often to call `observe`."""
        return min(5.0, self._lease_timeout_s / (2 * MIN_OBSERVATIONS))

    def observe(self, state: State) -> None:
        """One look at every heartbeat."""
        beats = read_heartbeats(self._paths)
        now = self._clock()
        if now - self._last_look_s > 4 * self.interval_s:
            self._counters.clear()
            self._progress.clear()
        self._last_look_s = now
        for process in state.workers.values():
            beat = beats.get(process.incarnation)
            if self._note(self._counters, process.incarnation, beat.counter if beat else None, now):
                self.advancing.add(process.incarnation)
            self._note(self._progress, process.incarnation, beat.progress if beat else None, now)

    @staticmethod
    def _note(seen: dict[str, _Seen], key: str, value: int | None, now: float) -> bool:
        """Whether the value changed under observation. One that cannot be read (None) says nothing:
        it counts as unchanged.
        """
        before = seen.get(key)
        if before is not None and value in (before.value, None):
            before.looks += 1
            return False
        seen[key] = _Seen(value, now, 1)
        return before is not None

    def dead(self, state: State) -> set[str]:
        """The incarnations that may be taken over: proven dead here, or silent for too long."""
        return {
            p.incarnation
            for p in state.workers.values()
            if is_proven_dead(p)
            or self._is_over(self._counters.get(p.incarnation), self._lease_timeout_s)
            or self._is_over(self._progress.get(p.incarnation), self._stall_timeout_s)
        }

    def _is_over(self, seen: _Seen | None, timeout_s: float) -> bool:
        if seen is None or seen.looks < MIN_OBSERVATIONS:
            return False
        return self._last_look_s - seen.since_s >= timeout_s
