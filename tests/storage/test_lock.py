"""The lock: an optimisation that no stuck, dead or missing holder turns into an outage."""

import os
import signal
import time

import pytest

from fspop.storage.lock import CommitLock
from tests.storage.processes import check_nothing_lost, end, start
from tests.storage.stores import report, small_log


def wait_until_stopped(process):
    deadline = time.monotonic() + 100
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
    assert seconds(lambda: report(log, 1)) > 1.9
    assert seconds(lambda: [report(log, n) for n in range(2, 12)]) < 10 * 1.9
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(100) == 0
    report(log, 12)
    assert check_nothing_lost(paths) == 3


def test_a_holder_killed_with_9_frees_the_lock_at_once(paths, log, holder):
    lock = CommitLock(paths.lock, patience_s=60)
    holder.kill()
    assert seconds(lock.acquire) < 30 and CommitLock(paths.lock, patience_s=0).acquire() is False
    lock.release()


def test_once_the_lock_is_to_be_had_again_it_is_used_again(paths, log, holder):
    lock = CommitLock(paths.lock, patience_s=1)
    assert seconds(lock.acquire) > 0.9 > seconds(lock.acquire)
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
    assert seconds(lambda: [report(log, n) for n in range(5)]) < 5 * 1.9


def test_the_lock_file_is_never_removed(paths, log):
    before = os.stat(paths.lock).st_ino
    for n in range(20):
        report(log, n)
    assert os.stat(paths.lock).st_ino == before


def test_reading_takes_no_lock(paths, log, holder):
    assert seconds(small_log(paths).refresh) < 1.9
