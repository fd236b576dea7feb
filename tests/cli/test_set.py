"""`fspop set`: settings of a run under way, through the command and with real workers."""

import json
import re
import signal
import time

import pytest

from fspop.records import Born, SettingsChanged
from fspop.storage import read_history, read_run
from tests.cli.conftest import TOY

OWN = """
from dataclasses import dataclass

from fspop.mutators import Decision, Mutator, WinnerTakeAllGenetic

def halve(hparams):
    return {"x": hparams["x"] / 2}

def boom(hparams):
    raise RuntimeError("boom")

class Other:
    pass

@dataclass(frozen=True)
class Mine(Mutator):
    pace: int = 10

    def update(self, state, view, rng):
        me = view.members[view.reported] if view.reported is not None else None
        if me is None or me.index or me.step < self.pace or state.get("done"):
            return state, []
        return {"done": 1}, [Decision(0, me.checkpoints[-1].point, {"x": 0.5}, "mine")]

own = Experiment(
    task=Toy, members=3, mode="max", total_steps=40, report_every=10,
    space={"x": Uniform(0.1, 1.0)}, tensorboard=False,
    mutator=WinnerTakeAllGenetic(halve, steps_per_exploit=1000),
)
"""


@pytest.fixture
def own(fspop):
    (fspop.folder / "own.py").write_text(TOY + OWN)
    fspop.good("init", "own.py:own", "--dir", "run")
    return fspop.folder / "run"


def changes(run):
    return [op for r in read_history(run) for op in r.ops if isinstance(op, SettingsChanged)]


def births(run):
    found = (op for record in read_history(run) for op in record.ops if isinstance(op, Born))
    return [born for born in found if born.origin]


def test_what_is_changed_is_on_record_and_shown(fspop, run):
    manifest = (run / "run.json").read_bytes()
    words = ["set", "--dir", "run", "mutator.interval=20", "max_attempts=5", "--reason", "too slow"]
    out = fspop.good(*words)
    assert out.splitlines() == [
        "changed mutator.interval=20 max_attempts=5; in effect now:",
        "  max_attempts=5   (was 3)",
        "  mutator.interval=20   (was 10)",
    ]
    (change,) = changes(run)
    assert "@" in change.by and change.asked == {"mutator.interval": 20, "max_attempts": 5}
    assert (run / "run.json").read_bytes() == manifest
    out = fspop.good("set", "--dir", "run")
    assert "mutator=TruncationSelection\n" in out and "max_attempts=5   (changed)\n" in out
    last = out.splitlines()[-1]
    assert f"UTC  {change.by}  mutator.interval=20 max_attempts=5 (too slow)" in last
    line = fspop.good("status", "--dir", "run").splitlines()[-1]
    assert re.match(rf"settings were changed once \d+s ago by {change.by}: mutator\.int", line)
    shown = json.loads(fspop.good("status", "--json", "--dir", "run"))
    assert shown["changes"][0]["reason"] == "too slow"
    assert shown["mutator"]["settings"]["interval"] == 20


def test_a_run_that_nobody_changed_says_so(fspop, run):
    out = fspop.good("set", "--dir", "run")
    assert out.endswith("nothing was changed since the run began\n")
    assert "total_steps=40\n" in out and "mutator.explore=Perturb\n" in out


def test_workers_go_by_it_and_the_log_says_so(fspop, run):
    fspop.good("set", "--dir", "run", "mutator.interval=20", "total_steps=80")
    fspop.good("worker", "--id", "0", "--dir", "run")
    manifest, state = read_run(run)
    assert [m.generation.step for m in state.members] == [80] * 3 and manifest.total_steps == 40
    assert births(run) and all(born.origin.step % 20 == 0 for born in births(run))


def test_a_finished_run_trains_on_with_more_steps(fspop, trained):
    fspop.good("set", "--dir", "run", "total_steps=60")
    assert "0 of 3 members finished" in fspop.good("status", "--dir", "run")
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert [m.generation.step for m in read_run(trained)[1].members] == [60] * 3


def test_a_function_of_the_experiments_code_stays_and_another_can_be_named(fspop, own):
    fspop.good("set", "--dir", "run", "mutator.steps_per_exploit=20")
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert births(own) and all(born.hparams["x"] < 0.51 for born in births(own)[1:2])
    fspop.good("set", "--dir", "run", "mutator=TruncationSelection", "mutator.interval=10")
    assert "mutator.explore=own:halve" in fspop.good("set", "--dir", "run")


def test_a_strategy_of_the_experiments_code_can_be_named(fspop, own):
    fspop.good("set", "--dir", "run", "mutator=Mine", "mutator.pace=20")
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert [(b.reason, b.origin.step) for b in births(own)] == [("mine", 20)]
    assert read_run(own)[1].strategy["class"] == "own:Mine"


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (2, ["mutator.intervall=3"], "no setting 'intervall'"),
        (2, ["mutator.interval"], "KEY=VALUE: got 'mutator.interval'; write key=value"),
        (2, ["max_deaths=3", "max_deaths=4"], "max_deaths: given twice"),
        (2, ["seed=3"], "cannot be changed in a run under way"),
        (2, ["mutator=Mine"], "got 'Mine' (there are Backtracking, "),
        (2, ["--reason", "x"], "got no change"),
        (78, ["mutator.interval=0"], "TruncationSelection.interval: got 0"),
        (78, ["max_deaths=0"], "Experiment.max_deaths: got 0"),
        (78, ["mutator.explore=os:system"], "os:system: 'os' is no module of the experiment's"),
        (78, ["mutator.explore=toy:nobody"], "toy in the experiment's code has no 'nobody'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(refused_here, run, code, words, message):
    seq = read_run(run)[1].seq
    assert message in refused_here(code, "set", "--dir", "run", *words)
    assert read_run(run)[1].seq == seq


def test_a_function_that_fails_in_the_space_is_refused(fspop, own):
    line = fspop.refused(78, "set", "--dir", "run", "mutator.mutate_fn=boom")
    assert "boom fails on hparams of the space: RuntimeError: boom" in line
    assert "give the name of a rule" in fspop.refused(
        2, "set", "--dir", "run", "mutator.mutate_fn=Other"
    )
    assert changes(own) == []


def test_a_directory_that_is_no_run_is_refused(refused_here, tmp_path):
    assert "no such directory" in refused_here(78, "set", "--dir", "none", "max_deaths=3")
    assert "which run directory?" in refused_here(2, "set", "max_deaths=3")


def test_what_needs_no_strategy_needs_neither_the_code_nor_torch(fspop, own):
    (own / "experiment" / "own.py").unlink()
    fspop.good("set", "--dir", "run", "max_attempts=7")
    assert "not the code that run" in fspop.refused(78, "set", "--dir", "run", "total_steps=50")


def test_an_older_fspop_refuses_what_it_does_not_know(fspop, run):
    from fspop.storage import codec

    fspop.good("set", "--dir", "run", "max_attempts=7")
    newest = max((run / "controller" / "log").glob("*.json"))
    body = newest.read_bytes()[: -codec._TAIL] + b"}"
    body = body.replace(b"settings_changed", b"settings_dreamed")
    newest.write_bytes(body[:-1] + codec._tail(body))
    for words in (["worker", "--id", "0"], ["status"], ["set", "max_deaths=3"]):
        assert "upgrade fspop" in fspop.refused(78, *words, "--dir", "run")


def wait_for(condition, timeout_s=100):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_change_while_workers_train_and_one_is_killed_is_in_force_for_all(fspop, own):
    """Two workers, a set, a kill -9, another strategy from two operators at once."""
    step = {"TOY_STEP_S": "0.02"}
    fspop.good("set", "--dir", "run", "total_steps=200")
    workers = [fspop.start("worker", "--id", i, "--dir", "run", **step) for i in range(2)]
    wait_for(lambda: read_run(own)[1].n_evaluations >= 6)
    fspop.good("set", "--dir", "run", "mutator.steps_per_exploit=20")
    wait_for(lambda: births(own))
    workers[0].send_signal(signal.SIGKILL)
    both = [
        fspop.start("set", "--dir", "run", "mutator=TruncationSelection", "mutator.interval=20"),
        fspop.start("set", "--dir", "run", "mutator=WelchTTest", "mutator.interval=20"),
    ]
    assert [p.wait(100) for p in both] == [0, 0]
    workers[0].wait()
    fspop.good("worker", "--id", "0", "--dir", "run", **step)
    assert workers[1].wait(100) == 0
    state = read_run(own)[1]
    assert {m.status for m in state.members} == {"finished"} and not state.mutator_error
    assert len(changes(own)) == state.n_changes == 4
    rules = [op.mutator["name"] for op in changes(own) if op.mutator]
    assert rules[0] == "WinnerTakeAllGenetic"
    assert state.strategy["name"] == rules[-1] and set(rules[1:]) == {
        "TruncationSelection",
        "WelchTTest",
    }
    _check_every_decision_was_made_by_the_strategy_in_force(own)


def _check_every_decision_was_made_by_the_strategy_in_force(run):
    """Each strategy has reasons of its own."""
    said = {
        "WinnerTakeAllGenetic": "round",
        "TruncationSelection": "ranked",
        "WelchTTest": "clearly",
    }
    now = "WinnerTakeAllGenetic"
    for record in read_history(run):
        for op in record.ops:
            if isinstance(op, SettingsChanged) and op.mutator:
                now = op.mutator["name"]
            elif isinstance(op, Born) and op.origin:
                assert op.reason.startswith(said[now]), (record.seq, now, op.reason)
