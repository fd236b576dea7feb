"""A worker's sign of life: a counter from a thread, with the training loop's progress beside it."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from fspop.controller.liveness import MIN_OBSERVATIONS, Heartbeat, Liveness
from fspop.errors import FspopError
from fspop.paths import RunPaths
from fspop.records import Process, State, encode_json
from fspop.storage.atomic import list_names, remove, replace


class Pulse:
    """Writes this worker's heartbeat and looks at the others', from a daemon thread.

    The loop calls `beat(...)` whenever it gets anywhere; a loop that stops calling it looks stalled
    to the others although the thread lives. A failing write is retried at the next beat: a full
    disk must not end a worker.
    """

    def __init__(
        self,
        paths: RunPaths,
        process: Process,
        liveness: Liveness,
        read_state: Callable[[], State],
        lease_timeout_s: float,
    ):
        self._path = paths.heartbeat(process.worker, process.incarnation)
        self._workers = paths.workers
        self._liveness = liveness
        self._read_state = read_state
        self._stop = threading.Event()
        self._lock = threading.Lock()
        interval_s = min(2.0, lease_timeout_s / (2 * MIN_OBSERVATIONS))
        self._now = Heartbeat(
            worker=process.worker,
            incarnation=process.incarnation,
            counter=0,
            progress=0,
            interval_s=interval_s,
            host=process.host,
            pid=process.pid,
        )
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first heartbeat, so that it exists before the worker joins, then goes on."""
        self._write()
        self._thread.start()

    def beat(self, **fields: Any) -> None:
        """The loop got somewhere; `fields` of Heartbeat (member, step, doing, …) become current."""
        with self._lock:
            progress = self._now.progress + 1
            self._now = msgspec.structs.replace(self._now, progress=progress, **fields)

    def stop(self) -> None:
        """Ends the thread and removes the heartbeat."""
        self._stop.set()
        self._thread.join(timeout=5.0)
        remove(self._path)

    def remove_former(self, worker: str) -> None:
        """Removes the heartbeats of this worker's earlier processes."""
        for name in list_names(self._workers):
            owner = RunPaths.heartbeat_owner(name)
            if owner and owner[0] == worker and name != self._path.name:
                remove(self._workers / name)

    def _run(self) -> None:
        looked_s = 0.0
        while not self._stop.wait(self._now.interval_s):
            self._write()
            if time.monotonic() - looked_s >= self._liveness.interval_s:
                with contextlib.suppress(OSError, FspopError):
                    self._liveness.observe(self._read_state())
                looked_s = time.monotonic()

    def _write(self) -> None:
        with self._lock:
            counter, now = self._now.counter + 1, round(time.time(), 3)
            self._now = msgspec.structs.replace(self._now, counter=counter, time=now)
            data = encode_json(self._now) + b"\n"
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            replace(self._path, data, temporary, sync=False)
