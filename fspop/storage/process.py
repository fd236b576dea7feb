"""Who a process is, and whether this machine can prove that one is gone."""

import os
import socket
import time
from pathlib import Path

from fspop.records import Process


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
