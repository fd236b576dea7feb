"""The lock: an optimisation that no stuck, dead or missing holder turns into an outage."""

import os
import signal
import time

import pytest

from fspop.storage import lock as lock_module
from fspop.storage.lock import CommitLock
from tests.storage.processes import check_nothing_lost, end, start
from tests.storage.stores import report, small_log


def wait_until_stopped(process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(f"/proc/{process.pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "T":
                return
        time.sleep(0.002)
    raise AssertionError("it did not stop")


@pytest.fixture
def holder(paths, log):
    """A process that was stopped in the middle of a commit, the lock in its hand."""
    process = start(paths, "holder", 60.0, 8, "--count", "3", FSPOP_STOP_AT="commit.built")
    wait_until_stopped(process)
    yield process
    end(process)


def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_others_go_on_after_two_seconds_and_then_at_once(paths, log, holder):
    assert 1.9 < seconds(lambda: report(log, 1)) < 3.0
    assert seconds(lambda: [report(log, n) for n in range(2, 12)]) < 1.0
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(10) == 0
    report(log, 12)
    assert check_nothing_lost(paths) == 3


def test_a_holder_killed_with_9_frees_the_lock_at_once(paths, log, holder):
    report(log, 0)  # imports and first-time costs; goes on without the lock
    fresh = small_log(paths)
    holder.kill()
    assert seconds(lambda: report(fresh, 1)) < 0.5


def test_once_the_lock_is_to_be_had_again_it_is_used_again(paths, log, holder, monkeypatch):
    monkeypatch.setattr(lock_module, "PATIENCE_S", 0.1)
    lock = CommitLock(paths.lock, patience_s=0.1)
    assert lock.acquire() is False
    assert seconds(lambda: lock.acquire()) < 0.05
    holder.kill()
    holder.wait()
    assert lock.acquire() is True
    assert CommitLock(paths.lock, patience_s=0.1).acquire() is False
    lock.release()


def test_a_filesystem_without_flock_is_worked_on_without_a_lock(paths, log, monkeypatch):
    import fcntl

    def refused(fd, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert CommitLock(paths.lock).acquire() is False
    assert seconds(lambda: [report(log, n) for n in range(5)]) < 1.0


def test_the_lock_file_is_never_removed(paths, log):
    before = os.stat(paths.lock).st_ino
    for n in range(20):
        report(log, n)
    assert os.stat(paths.lock).st_ino == before


def test_reading_takes_no_lock(paths, log, holder):
    assert seconds(small_log(paths).refresh) < 0.5
