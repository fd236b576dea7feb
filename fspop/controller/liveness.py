"""Is another worker alive? Proof on the same machine, patience with its heartbeat elsewhere."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fspop.paths import RunPaths
from fspop.records import Process, State
from fspop.storage.heartbeat import Heartbeat, read_heartbeats

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


def this_process(worker: str, versions: dict[str, str] | None = None) -> Process:
    """Who this process is, under a fresh incarnation."""
    return Process(
        worker=worker,
        incarnation=os.urandom(4).hex(),
        host=socket.gethostname(),
        boot=_boot(),
        pid_namespace=_pid_namespace(),
        pid=os.getpid(),
        pid_start=_pid_start(os.getpid()) or 0,
        since=round(time.time(), 3),
        versions=versions or {},
    )


def is_proven_dead(process: Process) -> bool:
    """Whether this machine can prove that `process` is gone; False proves nothing.

    Only within the same boot and pid namespace: there a pid that is free, a zombie, or started at
    another time is not that process any more.
    """
    if not process.boot or process.boot != _boot() or process.pid_namespace != _pid_namespace():
        return False
    if not process.pid_start:
        return False  # it could not see /proc
    start = _pid_start(process.pid)
    return start != process.pid_start and (start is not None or _is_gone(process.pid))


def _is_gone(pid: int) -> bool:
    """Whether no process has this pid, or a zombie does; /proc may hide those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _state_and_start(pid)[0] in "ZX"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _pid_start(pid: int) -> int | None:
    """When a live process started, in clock ticks since boot; None for a dead one or a zombie."""
    state, start = _state_and_start(pid)
    return None if state in "ZX" else start


def _state_and_start(pid: int) -> tuple[str, int | None]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "?", None
    return fields[0], int(fields[19])


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
