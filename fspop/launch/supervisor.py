"""Keeps one machine's workers running: starts them, restarts those that die, stops them cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from fspop.errors import InvalidSetting

_TIED = Path(__file__).with_name("tied.py")
_FINAL = {
    0: "finished",
    2: "was started with arguments it cannot use",
    78: "needs somebody to change something first",
}


class Event(NamedTuple):
    """Something that happened to a worker. `kind` is started, died, ended or gave_up.

    `message` is one line for a reader. `exit_code` is negative for a signal, None while it runs.
    """

    worker: int
    kind: str
    message: str
    exit_code: int | None = None


@dataclass
class _Slot:
    """One worker's place: its process while there is one, else when to start the next."""

    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    started_at: float = 0.0
    start_at: float | None = 0.0
    quick_deaths: int = 0


class Supervisor:
    """Runs workers 0..n_workers-1, each in its own session, its output appended to its log file.

    command(i), log_path(i): what worker i runs and where it prints. environment: added to this
    process's own. A worker that dies by a signal or with any code but 0, 2 and 78 is started again,
    after `backoff_s` doubled at each quick death (one within `quick_s` of its start); after
    `max_quick_deaths` of those in a row it is given up, and the others go on.

    Nothing runs by itself: call poll() a few times a second, always from one thread that outlives
    the workers (the kernel ends them when the thread that started them ends, see tied.py). A Ctrl-C
    at the terminal does not reach them, in sessions of their own; stop() passes it on.
    """

    def __init__(
        self,
        command: Callable[[int], list[str]],
        n_workers: int,
        log_path: Callable[[int], Path],
        *,
        environment: Mapping[str, str] | None = None,
        max_quick_deaths: int = 5,
        quick_s: float = 30.0,
        backoff_s: float = 0.5,
    ):
        if n_workers < 1:
            raise InvalidSetting(f"Supervisor.n_workers: got {n_workers!r}; it must be at least 1")
        self._command, self._log_path = command, log_path
        self._environment = {**os.environ, **(environment or {})}
        self._max_quick_deaths, self._quick_s = max_quick_deaths, quick_s
        self._backoff_s = backoff_s
        self._slots = [_Slot() for _ in range(n_workers)]

    @property
    def running(self) -> bool:
        """Whether a worker runs or waits to be started."""
        return any(s.process is not None or s.start_at is not None for s in self._slots)

    @property
    def pids(self) -> dict[int, int]:
        """The process id of each worker that runs."""
        return {i: s.process.pid for i, s in enumerate(self._slots) if s.process is not None}

    @property
    def exit_codes(self) -> dict[int, int | None]:
        """How each worker last ended; None for one that never did."""
        return {i: s.exit_code for i, s in enumerate(self._slots)}

    def poll(self) -> list[Event]:
        """Starts what is due and notices what ended; returns what happened. Never waits."""
        events: list[Event] = []
        for i, slot in enumerate(self._slots):
            if slot.process is not None and slot.process.poll() is not None:
                events.append(self._ended(i, slot))
            if slot.start_at is not None and time.monotonic() >= slot.start_at:
                events.append(self._start(i, slot))
        return events

    def stop(self, timeout_s: float = 60.0) -> list[Event]:
        """Asks every worker to checkpoint and end (SIGTERM), kills the rest after `timeout_s`."""
        for slot in self._slots:
            slot.start_at = None
            if slot.process is not None:
                slot.process.terminate()
        deadline = time.monotonic() + timeout_s
        left = [(i, slot) for i, slot in enumerate(self._slots) if slot.process is not None]
        return [self._wait(i, slot, deadline) for i, slot in left]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, i: int, slot: _Slot) -> Event:
        log_path = self._log_path(i)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TIED), str(os.getpid()), *self._command(i)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        slot.start_at, slot.started_at = None, time.monotonic()
        return Event(i, "started", f"worker {i} started, pid {slot.process.pid}, log {log_path}")

    def _ended(self, i: int, slot: _Slot) -> Event:
        code = _forget(slot)
        if code in _FINAL:
            return Event(i, "ended", f"worker {i} {_FINAL[code]} (exit {code})", code)
        quick = time.monotonic() - slot.started_at < self._quick_s
        slot.quick_deaths = slot.quick_deaths + 1 if quick else 0
        if slot.quick_deaths >= self._max_quick_deaths:
            text = f"{slot.quick_deaths} times in a row within {self._quick_s:g} s of its start"
            text = f"worker {i} {_how(code)}, {text}: given up; see {self._log_path(i)}"
            return Event(i, "gave_up", text, code)
        wait_s = self._backoff_s * 2 ** max(0, slot.quick_deaths - 1)
        slot.start_at = time.monotonic() + wait_s
        return Event(i, "died", f"worker {i} {_how(code)}; starting it again in {wait_s:g} s", code)

    def _wait(self, i: int, slot: _Slot, deadline: float) -> Event:
        assert slot.process is not None
        try:
            slot.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # Its leader is not reaped yet, so the process group (data loaders) is still its own.
            os.killpg(slot.process.pid, signal.SIGKILL)
            slot.process.wait()
        code = _forget(slot)
        return Event(i, "ended", f"worker {i} {_how(code)}", code)


def _forget(slot: _Slot) -> int:
    """Drops the ended process of a slot; returns its exit code."""
    assert slot.process is not None and slot.process.returncode is not None
    slot.exit_code, slot.process = slot.process.returncode, None
    return slot.exit_code


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
