"""Alive or dead: proof on the same machine, patience on an observer's own clock elsewhere."""

import os
import signal
import subprocess
import sys

import pytest
from msgspec.structs import replace

from fspop.controller.liveness import (
    MIN_OBSERVATIONS,
    Heartbeat,
    Liveness,
    is_proven_dead,
    this_process,
)
from fspop.paths import RunPaths
from fspop.records import Process, State, encode_json
from fspop.storage import create_folders

FAR = Process("3", "aaaaaaaa", host="elsewhere", boot="other-boot", pid=1, pid_start=1)
STATE = State(workers={"3": FAR})


class Observer:
    """A liveness on a fake clock, and the heartbeat file it looks at."""

    def __init__(self, root, lease_s=120.0, stall_s=900.0):
        self.paths = RunPaths(root)
        create_folders(self.paths)
        self.now = 1000.0
        self.liveness = Liveness(self.paths, lease_s, stall_s, clock=lambda: self.now)
        self.file = self.paths.heartbeat("3", FAR.incarnation)

    def beat(self, counter, progress=0):
        beat = Heartbeat("3", FAR.incarnation, counter, progress, 2.0)
        self.file.write_bytes(encode_json(beat))

    def look(self, times, every_s=5.0):
        for _ in range(times):
            self.now += every_s
            self.liveness.observe(STATE)
        return self.liveness.dead(STATE) == {FAR.incarnation}


@pytest.fixture
def observer(tmp_path):
    observer = Observer(tmp_path)
    observer.beat(1)
    return observer


def test_a_counter_that_stands_still_for_the_lease_means_dead(observer):
    assert not observer.look(24)
    assert observer.look(1)


def test_a_counter_that_moves_means_alive_however_long(observer):
    for counter in range(100):
        observer.beat(counter, progress=counter)
        assert not observer.look(3)
    assert FAR.incarnation in observer.liveness.advancing


def test_too_few_looks_prove_nothing(observer):
    assert not observer.look(MIN_OBSERVATIONS - 1, every_s=15.0)
    assert observer.look(1, every_s=15.0)


def test_a_stall_of_the_observers_own_starts_it_over(observer):
    assert not observer.look(23)
    observer.now += 3600.0
    assert not observer.look(24)
    assert observer.look(1)


def test_a_heartbeat_without_progress_is_a_stall_after_a_patience_of_its_own(observer):
    for counter in range(180):
        observer.beat(counter, progress=7)
        assert not observer.look(1)
    observer.beat(999, progress=7)
    assert observer.look(1)


def test_a_heartbeat_that_was_never_written_runs_out_too(observer):
    observer.file.unlink()
    assert not observer.look(24)
    assert observer.look(1)


def test_a_heartbeat_that_cannot_be_read_for_a_moment_is_no_sign_of_life(observer):
    observer.look(10)
    raw = observer.file.read_bytes()
    observer.file.write_bytes(b'{"torn')
    observer.look(4)
    observer.file.write_bytes(raw)
    assert not observer.look(10)
    assert observer.look(1)
    assert observer.liveness.advancing == set()


def test_the_time_in_a_heartbeat_and_its_mtime_mean_nothing(observer):
    for n in range(25):
        beat = Heartbeat("3", FAR.incarnation, 1, 0, 2.0, time=1e9 + n)
        observer.file.write_bytes(encode_json(beat))
        os.utime(observer.file, (n * 1e6, n * 1e6))
        observer.look(1)
    assert observer.look(0)


def test_another_incarnation_of_the_same_worker_is_looked_at_anew(observer):
    assert observer.look(25)
    other = replace(FAR, incarnation="bbbbbbbb")
    assert observer.liveness.dead(State(workers={"3": other})) == set()


# ---- on the same machine -------------------------------------------------------------------------


def describe(pid):
    """The Process of a child, as it would describe itself."""
    from fspop.storage import process

    mine = this_process("1")
    return replace(mine, pid=pid, pid_start=process._pid_start(pid))


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_live_process_here_is_not_dead(child):
    assert not is_proven_dead(this_process("1"))
    assert not is_proven_dead(describe(child.pid))


def test_a_stopped_process_is_not_dead(child):
    described = describe(child.pid)
    child.send_signal(signal.SIGSTOP)
    assert not is_proven_dead(described)


def test_a_killed_process_is_dead_at_once_even_before_it_is_reaped(child):
    described = describe(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_proven_dead(described)
    child.wait()
    assert is_proven_dead(described)


def test_a_reused_pid_is_not_that_process():
    assert is_proven_dead(replace(this_process("1"), pid_start=5))


@pytest.mark.parametrize(
    "changes",
    [{"boot": "other"}, {"boot": ""}, {"pid_namespace": "pid:[1]"}, {"pid_start": 0}],
)
def test_nothing_is_proven_about_other_boots_containers_or_the_unseen(changes):
    gone = replace(this_process("1"), pid=2**22 - 1, pid_start=5)
    assert is_proven_dead(gone)
    assert not is_proven_dead(replace(gone, **changes))


def test_a_process_that_proc_hides_is_not_proven_dead(child, monkeypatch):
    """As /proc mounted with hidepid=2 does with the processes of other users."""
    from fspop.storage import process

    described = describe(child.pid)
    monkeypatch.setattr(process, "_state_and_start", lambda pid: ("?", None))
    assert not is_proven_dead(described)
