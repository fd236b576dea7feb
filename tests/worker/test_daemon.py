"""The daemon as a process: signals, a second worker, tasks that raise, ends."""

import re
import signal
import subprocess
import sys
import time

import pytest

from fspop.paths import RunPaths
from fspop.records import Reported
from fspop.storage import read_history, read_run

EXPERIMENT = """
import os, random, time
from fspop import Experiment, Uniform
from fspop.mutators import TruncationSelection

class Walk:
    def setup(self, context):
        self.member, self.x = context.member, 0.0
        self.drift = context.hparams["drift"]
    def train(self, n_steps):
        for _ in range(n_steps):
            self.x += self.drift
            time.sleep(float(os.environ.get("STEP_S", "0")))
        if os.environ.get("RAISE_IN") == str(self.member) and self.x > 1:
            raise RuntimeError("the data is gone")
    def evaluate(self):
        return {name: self.x for name in os.environ.get("METRICS", "score").split()}
    def state_dict(self):
        return {"x": self.x}
    def load_state_dict(self, state):
        self.x = state["x"]

experiment = Experiment(
    task=Walk, members=3, mode="max", metric="score", space={"drift": Uniform(0.5, 1.0)},
    mutator=TruncationSelection(interval=10), total_steps=20, report_every=5, lease_timeout_s=2.0,
    tensorboard=False,
)
"""


def fspop(*words, **environment):
    import os

    return subprocess.Popen(
        [sys.executable, "-m", "fspop", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finish(process, timeout_s=100):
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def make_run(folder, *words):
    (folder / "walk.py").write_text(EXPERIMENT)
    root = folder / "run"
    code, _, err = finish(fspop("init", folder / "walk.py", "--dir", root, *words))
    assert code == 0, err
    return root


def wait_until(condition, timeout_s=100):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reached(root, step):
    return any(m.generation.step >= step for m in read_run(root)[1].members)


def test_a_worker_trains_every_member_and_ends_with_zero(run):
    code, out, err = finish(fspop("worker", "--id", 0, "--dir", run))
    assert code == 0 and "the run is finished" in out, err
    state = read_run(run)[1]
    assert [m.status for m in state.members] == ["finished"] * 3
    assert not state.workers and not list((run / "workers").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_makes_it_save_release_and_end_with_zero(run, number):
    worker = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.4")  # one step a stretch
    wait_until(lambda: reached(run, 5))
    time.sleep(0.25)
    worker.send_signal(number)
    code, out, _ = finish(worker)
    state = read_run(run)[1]
    assert code == 0 and f"stopping on {number.name}" in out
    assert not state.workers and all(m.claim is None for m in state.members)
    assert any(m.generation.step % 5 for m in state.members), "it saved between two reports"
    assert finish(fspop("worker", "--id", 0, "--dir", run))[0] == 0


def test_the_second_worker_of_an_id_is_refused_in_one_line(run):
    first = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.2")
    wait_until(lambda: read_run(run)[1].workers)
    code, _, err = finish(fspop("worker", "--id", 0, "--dir", run))
    first.terminate()
    finish(first)
    assert code == 78
    assert re.fullmatch(
        rf"fspop: error: worker 0 is already running on \S+, process {first.pid}, since .*\n", err
    )


def test_a_worker_killed_and_started_again_goes_on_at_once(tmp_path):
    run = make_run(tmp_path, "--set", "lease_timeout_s=600")
    worker = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.05")
    wait_until(lambda: reached(run, 5))
    worker.kill()
    finish(worker)
    before = read_run(run)[1]
    begun = time.monotonic()
    assert finish(fspop("worker", "--id", 0, "--dir", run))[0] == 0
    assert time.monotonic() - begun < 60, "it waited out the lease"
    reports = [
        (op.generation, op.step)
        for record in read_history(run)
        for op in record.ops
        if isinstance(op, Reported)
    ]
    assert len(reports) == len(set(reports)), "something was trained and reported twice"
    assert before.seq < read_run(run)[1].seq


def test_what_killed_workers_did_not_come_to_delete_is_deleted_in_the_end(run):
    code, deaths = None, 0
    while code != 0 and deaths < 30:
        code, _, err = finish(
            fspop("worker", "--id", 0, "--dir", run, FSPOP_CRASH_AT="worker.deleting")
        )
        assert code in (0, -signal.SIGKILL), err
        deaths += code != 0
    assert deaths > 3
    paths, state = RunPaths(run), read_run(run)[1]
    named = {paths.checkpoint(c.generation, c.step, c.term) for c in state.kept}
    assert set(paths.checkpoints.glob("*/*")) == named


def test_a_member_whose_task_raises_is_given_up_and_the_others_finish(run):
    code, out, _ = finish(fspop("worker", "--id", 0, "--dir", run, RAISE_IN="1"))
    state = read_run(run)[1]
    assert code == 0
    assert [m.status for m in state.members] == ["finished", "failed", "finished"]
    assert state.members[1].failures == 3
    assert state.members[1].error == "RuntimeError: the data is gone"
    assert "walk.py" in state.members[1].traceback and out.count("the data is gone") >= 3


def test_a_missing_metric_is_diverged_and_no_crash(run):
    code, _, _ = finish(fspop("worker", "--id", 0, "--dir", run, METRICS="loss accuracy"))
    state = read_run(run)[1]
    assert code == 0 and state.best is None
    assert "metric 'score' is missing" in state.members[0].generation.evaluations[-1].diverged


def test_a_dead_workers_member_is_taken_over_by_another(run):
    first = fspop("worker", "--id", 1, "--dir", run, STEP_S="0.2")
    wait_until(lambda: read_run(run)[1].members[1].claim)
    first.kill()
    finish(first)
    code, _, _ = finish(fspop("worker", "--id", 0, "--dir", run))
    state = read_run(run)[1]
    assert code == 0 and [m.status for m in state.members] == ["finished"] * 3
    assert state.members[1].term >= 2


def test_a_stopped_worker_is_taken_over_after_its_lease_and_fenced_when_it_wakes(run):
    first = fspop("worker", "--id", 1, "--dir", run, STEP_S="0.1")
    wait_until(lambda: reached(run, 5))
    first.send_signal(signal.SIGSTOP)
    other = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.02")
    wait_until(lambda: "1" not in read_run(run)[1].workers)
    first.send_signal(signal.SIGCONT)
    _, out, _ = finish(first)
    assert "is over" in out or "took this process for dead" in out
    assert finish(other)[0] == 0
    assert [m.status for m in read_run(run)[1].members] == ["finished"] * 3


def newest_checkpoint(root, member):
    return root / read_run(root)[1].members[member].generation.checkpoints[-1].params


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_said_and_training_goes_on_from_the_one_before(run, harm):
    worker = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.05")
    wait_until(lambda: reached(run, 10))
    worker.kill()
    finish(worker)
    member = next(m.index for m in read_run(run)[1].members if m.generation.step >= 10)
    file = next(newest_checkpoint(run, member).iterdir())
    data = file.read_bytes()
    if harm == "flip":
        file.write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
    elif harm == "truncate":
        file.write_bytes(data[:-1])
    else:
        file.unlink()
    code, out, _ = finish(fspop("worker", "--id", 0, "--dir", run))
    state = read_run(run)[1]
    assert code == 0 and "damaged checkpoint" in out and "goes on without it" in out
    assert [m.status for m in state.members] == ["finished"] * 3
    assert state.members[member].failures == 0
