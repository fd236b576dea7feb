"""The examples on pictures, killed with -9 in the middle, end as if nothing had happened."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fspop.errors import FspopError
from fspop.storage import read_run
from fspop.training import History
from tests.chaos.fleet import FSPOP, decisions, final_digests
from tests.examples.driver import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_S = 400


@contextlib.contextmanager
def started(*words):
    """The process of a command; ended at the latest when the block is left."""
    process = subprocess.Popen(
        [*map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(reached, process):
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def fspop_run(name, root, *settings):
    overrides = [word for setting in settings for word in ("--set", setting)]
    return [*FSPOP, "run", f"examples/{name}.py", "--dir", root, "--workers", 1, *overrides]


def finish(command):
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has_reported(root):
    with contextlib.suppress(FspopError):  # the run is being made
        return any(m.generation.checkpoints for m in read_run(root)[1].members)


def kill_the_worker(command, root):
    """Runs it, kills its worker after the first report; what it printed from then on."""
    with started(*command) as process:
        pids = (re.search(r"worker 0 started, pid (\d+)", line) for line in process.stdout)
        pid = int(next(match for match in pids if match)[1])
        wait_until(lambda: has_reported(root), process)
        os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    return out


SETTINGS = {
    "simple_cnn": (
        *("total_steps=12", "report_every=2", "mutator.exploit_steps=4"),
        "mutator.explore_steps=4",
    ),
    "complex_cnn": (
        *("total_steps=12", "report_every=3", "mutator.steps_per_exploit=6"),
        "mutator.seconds_per_exploit=null",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_killed_worker_changes_no_decision_and_no_bit(name, tmp_path):
    finish(fspop_run(name, tmp_path / "calm", *SETTINGS[name]))
    out = kill_the_worker(
        fspop_run(name, tmp_path / "killed", *SETTINGS[name]), tmp_path / "killed"
    )
    assert "ended by SIGKILL; starting it again" in out
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert decisions(calm) and decisions(killed) == decisions(calm)
    assert final_digests(read_run(killed)[1]) == final_digests(read_run(calm)[1])


def test_rounds_by_the_clock_change_all_hparams_but_the_winners(tmp_path):
    settings = "total_steps=12", "report_every=3", "mutator.seconds_per_exploit=0.05"
    finish(fspop_run("complex_cnn", tmp_path / "run", *settings))
    members = read_run(tmp_path / "run")[1].members
    hparams = [m.generation.hparams for m in members]
    assert all(m.status == "finished" for m in members)
    assert len({each["learning_rate"] for each in hparams}) >= 4
    assert len({each["batch_size"] for each in hparams}) >= 2


def test_killed_schedules_go_on_and_end_in_the_same_figure(tmp_path):
    command = [sys.executable, "examples/lr_schedules.py"]
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    out = finish([*command, calm, "--epochs", 2])
    with started(*command, killed, "--epochs", 2) as process:
        wait_until((killed / "Step-2/ck_checkpoints.json").exists, process)
        process.kill()
    assert not (killed / "schedules.png").exists()
    *ours, last = finish([*command, killed, "--epochs", 2]).splitlines()
    assert ours == out.splitlines()[:-1] and last == f"see {killed / 'schedules.png'}"
    names = [path.parent.name for path in calm.glob("*/ck_history.json")]
    assert len(names) == 9
    for each in names:
        ours, theirs = (History.read(at / each / "ck_history.json") for at in (calm, killed))
        assert ours == theirs
    assert (killed / "schedules.png").read_bytes().startswith(b"\x89PNG")
