import os
import signal
import time

import pytest

from fspop.paths import RunPaths
from fspop.storage import read_manifest, read_run


def slow(cli, seconds):
    """An experiment whose import takes a while; tells by a file that it began."""
    text = (cli.folder / "toy.py").read_text()
    wait = f"import pathlib, time\npathlib.Path({str(cli.folder / 'began')!r}).touch()\n"
    (cli.folder / "slow.py").write_text(f"{wait}time.sleep({seconds})\n{text}")


def wait_for(path):
    deadline = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_is_made_and_the_next_command_told(fspop):
    out = fspop.good("init", "toy.py", "--dir", "deep/run")
    manifest, state = read_run(fspop.folder / "deep/run")
    assert f"created run {manifest.run} in deep/run: 3 members, 40 steps each, mode max" in out
    assert "fspop worker --id 0 --dir deep/run" in out
    assert len(state.members) == 3 and state.seq == 1
    assert sorted(os.listdir(fspop.folder / "deep/run")) == [
        "checkpoints", "controller", "experiment", "logs", "run.json", "workers",
    ]  # fmt: skip


def test_settings_that_are_hardly_meant_are_said(fspop):
    words = ["--set", "total_steps=5", "--set", "report_every=7"]
    out = fspop.good("init", "toy.py", "--dir", "run", *words)
    assert "note: report_every=7 is beyond 5 steps" in out
    assert "note: mutator.interval=10 is not below 5 steps, so nothing will be decided" in out


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("Toy()", "a function that makes one: Toy, not Toy()"),
        ("Half", "Half does not define evaluate, state_dict; a task has setup, train, "),
    ],
)
def test_what_is_no_task_is_refused_before_anything_is_made(fspop, task, message):
    half = "class Half:\n    setup = train = load_state_dict = None\n"
    text = (fspop.folder / "toy.py").read_text().replace("task=Toy", f"task={task}")
    (fspop.folder / "toy.py").write_text(half + text)
    assert message in fspop.refused(78, "init", "toy.py", "--dir", "run")
    assert not (fspop.folder / "run").exists()


def test_the_directory_may_come_from_the_environment(fspop):
    fspop.good("init", "toy.py", FSPOP_DIR="run")
    assert "3 members finished" in fspop.good("status", FSPOP_DIR="run")


def test_settings_are_recorded_and_reach_the_workers(fspop):
    fspop.good(
        "init", "toy.py:large", "--dir", "run", "--seed", 5, "--members", 2,
        "--set", "total_steps=10", "--set", "mutator.fraction=0.5",
    )  # fmt: skip
    manifest, _ = read_run(fspop.folder / "run")
    assert (manifest.members, manifest.seed, manifest.total_steps) == (2, 5, 10)
    assert manifest.mutator["settings"]["fraction"] == 0.5
    assert manifest.experiment["attribute"] == "large"
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert "2 of 2 members finished" in fspop.good("status", "--dir", "run")


def test_a_folder_of_code_goes_along(fspop):
    (fspop.folder / "code/lib").mkdir(parents=True)
    (fspop.folder / "toy.py").rename(fspop.folder / "code/lib/toy.py")
    (fspop.folder / "code/helper.py").write_text("SIZE = 3")
    text = (fspop.folder / "code/lib/toy.py").read_text()
    (fspop.folder / "code/lib/toy.py").write_text("import helper\n" + text)
    fspop.good("init", "code/lib/toy.py", "--code", "code", "--dir", "run")
    (fspop.folder / "code/helper.py").write_text("1 / 0")
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert read_manifest(RunPaths(fspop.folder / "run")).experiment["file"] == "lib/toy.py"


def test_of_two_at_once_one_wins_and_the_other_finds_a_run(fspop):
    slow(fspop, 0.5)
    both = [fspop.start("init", "slow.py", "--dir", "run") for _ in range(2)]
    ends = [(p.communicate(timeout=100)[1], p.returncode) for p in both]
    assert sorted(code for _, code in ends) == [0, 78]
    (refusal,) = [err for err, code in ends if code == 78]
    assert "already a run" in refusal and refusal.count("\n") == 1
    names = os.listdir(fspop.folder / "run")
    assert not [name for name in names if name.startswith(".")]


def test_what_a_killed_init_left_is_cleaned_by_the_next(fspop):
    slow(fspop, 30)
    root = fspop.folder / "run"
    process = fspop.start("init", "slow.py", "--dir", "run")
    wait_for(fspop.folder / "began")
    process.kill()
    process.communicate()
    (staged,) = [name for name in os.listdir(root) if name.startswith(".experiment.")]
    os.rename(root / staged, root / "experiment")  # as if it had died one moment later
    assert not (root / "run.json").exists()
    fspop.good("init", "toy.py", "--dir", "run")
    assert os.listdir(root / "experiment") == ["toy.py"]
    assert not [name for name in os.listdir(root) if name.startswith(".")]


def test_an_init_that_is_interrupted_leaves_nothing(fspop):
    slow(fspop, 30)
    process = fspop.start("init", "slow.py", "--dir", "run")
    wait_for(fspop.folder / "began")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=100) == 130
    assert not (fspop.folder / "run").exists()


def test_an_init_that_fails_leaves_the_directory_as_it_was(fspop):
    (fspop.folder / "there/lost+found").mkdir(parents=True)
    (fspop.folder / "bad.py").write_text("1 / 0")
    for run in ("new", "there"):
        assert "bad.py line 1: ZeroDivisionError" in fspop.refused(
            78, "init", "bad.py", "--dir", run
        )
    assert not (fspop.folder / "new").exists()
    assert os.listdir(fspop.folder / "there") == ["lost+found"]
