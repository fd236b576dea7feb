import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from fspop.errors import InvalidSetting
from fspop.launch import Supervisor

SLEEP = "import time; time.sleep(60)"
OBEDIENT = "import signal, time; signal.signal(15, lambda *_: exit(0)); print('up', flush=True)\n"
STUBBORN = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def supervise(tmp_path):
    """Makes supervisors of small Python programs and ends their processes after the test."""
    made = []

    def make(program, n_workers=1, **settings):
        def command(i):
            return [sys.executable, "-c", program, str(i)]

        settings = {"backoff_s": 0.01, **settings}
        made.append(Supervisor(command, n_workers, lambda i: tmp_path / f"{i}.log", **settings))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop(timeout_s=0)


def until(condition, what, timeout_s=100):
    """Waits for a condition and returns its value; fails by name when it never holds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"never seen in {timeout_s} s: {what}")


def events_until_idle(supervisor):
    seen = []
    until(lambda: seen.extend(supervisor.poll()) or not supervisor.running, "all workers ended")
    return seen


def alive(pid):
    """Whether a process runs: exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_worker_runs_its_own_command_into_its_own_log(supervise, tmp_path):
    events_until_idle(supervise("import sys; print('worker', sys.argv[1])", n_workers=3))
    assert [(tmp_path / f"{i}.log").read_text() for i in range(3)] == [
        f"worker {i}\n" for i in range(3)
    ]


def test_a_worker_killed_with_9_is_started_again(supervise):
    supervisor = supervise(SLEEP, n_workers=2)
    supervisor.poll()
    first = supervisor.pids
    os.kill(first[1], signal.SIGKILL)
    events = until(supervisor.poll, "the death")
    assert [(e.worker, e.kind, e.exit_code) for e in events] == [(1, "died", -9)]
    until(lambda: [e for e in supervisor.poll() if e.kind == "started"], "the restart")
    assert supervisor.pids[0] == first[0] and supervisor.pids[1] != first[1]


@pytest.mark.parametrize("code", [70, 75, 1])
def test_a_failing_worker_is_given_up_after_some_quick_deaths(supervise, code):
    supervisor = supervise(f"raise SystemExit({code})", max_quick_deaths=3)
    events = events_until_idle(supervisor)
    assert [e.kind for e in events] == ["started", "died", "started", "died", "started", "gave_up"]
    assert "3 times" in events[-1].message and "0.log" in events[-1].message
    assert supervisor.exit_codes == {0: code}


@pytest.mark.parametrize("code", [0, 2, 78])
def test_a_final_exit_code_is_not_restarted(supervise, code):
    events = events_until_idle(supervise(f"raise SystemExit({code})"))
    assert [(e.kind, e.exit_code) for e in events] == [("started", None), ("ended", code)]


def test_a_long_life_starts_the_count_of_quick_deaths_anew(supervise, tmp_path):
    program = f"""
        import pathlib, time
        lives = pathlib.Path({str(tmp_path)!r}, "lives")
        lives.write_text((lives.read_text() if lives.exists() else "") + "x")
        time.sleep(1.6 if len(lives.read_text()) == 2 else 0)
        raise SystemExit(70)
    """
    supervisor = supervise(textwrap.dedent(program), max_quick_deaths=2, quick_s=1.5)
    assert [e.kind for e in events_until_idle(supervisor)].count("died") == 3


def test_the_pause_before_a_restart_doubles(supervise):
    supervisor = supervise("raise SystemExit(70)", max_quick_deaths=4, backoff_s=0.02)
    died = [e.message for e in events_until_idle(supervisor) if e.kind == "died"]
    assert [m.split()[-2] for m in died] == ["0.02", "0.04", "0.08"]


def test_stop_lets_a_worker_end_by_itself(supervise, tmp_path):
    supervisor = supervise(OBEDIENT + SLEEP)
    supervisor.poll()
    until((tmp_path / "0.log").read_text, "the worker up")
    assert [(e.kind, e.exit_code) for e in supervisor.stop(timeout_s=100)] == [("ended", 0)]
    assert not supervisor.running


def test_stop_kills_a_worker_that_does_not_end_with_its_children(supervise, tmp_path):
    supervisor = supervise(STUBBORN)
    supervisor.poll()
    child_pid = int(until((tmp_path / "0.log").read_text, "the child's pid"))
    assert [e.exit_code for e in supervisor.stop(timeout_s=0.1)] == [-9]
    until(lambda: not alive(child_pid), "the child gone")


def test_stop_while_a_restart_is_due_starts_nothing(supervise):
    supervisor = supervise("raise SystemExit(70)", backoff_s=0.05)
    until(lambda: any(e.kind == "died" for e in supervisor.poll()), "the death")
    supervisor.stop()
    time.sleep(0.1)
    assert supervisor.poll() == [] and not supervisor.running


def test_a_killed_supervisor_takes_its_workers_along(tmp_path):
    program = f"""
        import sys, time
        from pathlib import Path
        from fspop.launch import Supervisor
        command = [sys.executable, "-c", "print('up', flush=True); " + {SLEEP!r}]
        supervisor = Supervisor(lambda i: command, 2, lambda i: Path({str(tmp_path)!r}, str(i)))
        supervisor.poll()
        print(*supervisor.pids.values(), flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        until(lambda: all((tmp_path / str(i)).read_text() for i in (0, 1)), "both workers up")
        process.kill()
    assert len(pids) == 2
    until(lambda: not any(alive(pid) for pid in pids), "both workers gone")


def test_a_command_that_does_not_exist_is_said_once_and_not_retried(tmp_path):
    supervisor = Supervisor(lambda i: ["/no/such/fspop"], 1, lambda i: tmp_path / "log")
    assert [(e.kind, e.exit_code) for e in events_until_idle(supervisor)][1:] == [("ended", 78)]
    expected = "fspop: cannot start '/no/such/fspop': No such file or directory\n"
    assert (tmp_path / "log").read_text() == expected


def test_the_environment_reaches_the_workers_beside_the_inherited_one(supervise, tmp_path):
    program = "import os; print(os.environ['FSPOP_TEST'], bool(os.environ['PATH']))"
    events_until_idle(supervise(program, environment={"FSPOP_TEST": "yes"}))
    assert (tmp_path / "0.log").read_text() == "yes True\n"


def test_no_workers_at_all_is_refused(tmp_path):
    with pytest.raises(InvalidSetting, match=r"n_workers: got 0"):
        Supervisor(lambda i: [], 0, lambda i: tmp_path)
