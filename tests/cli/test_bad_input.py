"""Bad input gets one clear line and a named exit code, and loses nothing."""

import os
import shutil
import subprocess

import pytest

BAD_FILES = {
    "syntax.py": ("def f(:", "syntax.py line 1: SyntaxError"),
    "missing.py": ("import not_there_at_all", "missing.py line 1: ModuleNotFoundError"),
    "empty.py": ("x = 1", "empty.py: it has no 'experiment'; write experiment = Experiment(...)"),
    "number.py": ("experiment = 3", "'experiment' is a int, not a fspop.Experiment"),
    "reversed.py": (
        "from fspop import Uniform\nUniform(1.0, 0.0)",
        "reversed.py line 2: Uniform(low=1.0, high=0.0): low must be below high; swap them",
    ),
    "setting.py": (
        "from fspop.mutators import TruncationSelection\nTruncationSelection(intervall=3)",
        "unexpected keyword argument 'intervall'; did you mean 'interval'?",
    ),
    "argument.py": (
        "import fspop\nfrom fspop import Experiment\nExperiment(task=int, report_evry=3)",
        "unexpected keyword argument 'report_evry'; did you mean 'report_every'?",
    ),
    "nothing_near.py": (
        "from fspop import Experiment\nExperiment(colour=3)",
        "line 2: TypeError: Experiment.__init__() got an unexpected keyword argument 'colour'",
    ),
    "neighbour.py": ("import helper", "it lies beside neighbour.py, so copy both with --code ."),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_an_experiment_that_does_not_work_names_the_place(fspop, refused_here, name):
    text, message = BAD_FILES[name]
    (fspop.folder / name).write_text(text)
    (fspop.folder / "helper.py").write_text("")
    assert message in refused_here(78, "init", name, "--dir", "run")
    assert not (fspop.folder / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--members", "0"], 78, "Experiment.members: got 0"),
        (["--members", "x"], 2, "Invalid value for '--members'"),
        (["--seed", "-4"], 78, "Experiment.seed: got -4"),
        (["--set", "mutator.intervall=3"], 2, "no setting 'intervall'; did you mean 'interval'?"),
        (["--set", "mutator.interval=x"], 78, "TruncationSelection.interval: got 'x'"),
        (["--set", "space.x.low=2"], 78, "low must be below high"),
        (["--set", "interval"], 2, "write key=value"),
        (["--code", "nope"], 2, "there is no such folder"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(fspop, refused_here, words, code, message):
    assert message in refused_here(code, "init", "toy.py", "--dir", "run", *words)
    assert not (fspop.folder / "run").exists()


@pytest.mark.parametrize("file", ["nope.py", ".", "toy.py:1x"])
def test_a_file_that_is_none_is_refused(refused_here, file):
    assert "FILE: got" in refused_here(2, "init", file, "--dir", "run")


@pytest.mark.parametrize("verb", ["worker --id 0", "status", "best", "retry"])
def test_a_missing_or_foreign_directory_is_named(fspop, refused_here, verb):
    (fspop.folder / "foreign").mkdir()
    words = verb.split()
    assert "nope: no such directory" in refused_here(78, *words, "--dir", "nope")
    assert "foreign: not a run (it has no run.json)" in refused_here(78, *words, "--dir", "foreign")
    assert "set FSPOP_DIR" in refused_here(2, *words)
    assert os.listdir(fspop.folder / "foreign") == []


def test_a_foreign_directory_is_not_touched(fspop, refused_here):
    for name in ("experiment", "logs", "data"):  # two of them are names that runs use too
        (fspop.folder / "foreign" / name).mkdir(parents=True)
    line = refused_here(78, "init", "toy.py", "--dir", "foreign")
    assert "(it holds data, experiment, logs)" in line and "nothing was touched" in line
    assert len(os.listdir(fspop.folder / "foreign")) == 3
    for words in (["init", "toy.py", "--dir", "toy.py"], ["init", "toy.py", "--dir", "toy.py/x"]):
        assert "is a file" in refused_here(78, *words)


def test_a_run_that_exists_is_not_begun_again(refused_here, run):
    before = (run / "run.json").read_bytes()
    assert "run: already a run" in refused_here(78, "init", "toy.py", "--dir", "run")
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize("verb", ["worker --id 0", "status", "best", "retry", "run toy.py"])
def test_a_run_of_another_format_asks_for_an_upgrade(refused_here, run, verb):
    (run / "run.json").write_text('{"format": 99}\n')
    line = refused_here(78, *verb.split(), "--dir", "run")
    assert "run.json: written in format 99" in line and "upgrade fspop" in line


def test_code_that_changed_since_init_is_refused(fspop, run):
    with (run / "experiment/toy.py").open("a") as file:
        file.write("# another")
    assert "not the code that run" in fspop.refused(78, "worker", "--id", "0", "--dir", "run")


@pytest.mark.parametrize("worker", ["-1", "a/b", ".x", ""])
def test_an_id_out_of_range_is_refused(refused_here, run, worker):
    assert f"--id: got {worker!r}" in refused_here(2, "worker", "--id", worker, "--dir", "run")
    assert os.listdir(run / "workers") == []


# ---- directories that cannot be written: in a mount namespace, or without root's power


def without_power():
    """What to put before a command so that mode bits bind it even as root."""
    if os.geteuid() != 0:
        return []
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*before, "true"]).returncode != 0:
        pytest.skip("setpriv: cannot take root's power to write anywhere here")
    return before


def with_mount(options):
    """What to put before a command to run it with a small filesystem on the folder `small`."""
    script = f'mount -t tmpfs -o {options} none small && exec "$@"'
    before = ["unshare", "-rm", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("unshare: mounting is not permitted here")
    return before


def test_a_directory_that_is_not_writable_is_named(fspop):
    (fspop.folder / "locked").mkdir(mode=0o555)
    for run in ("locked", "locked/run"):
        line = fspop.refused(78, "init", "toy.py", "--dir", run, before=without_power())
        assert "cannot create locked/" in line and "check owner, mode and mount options" in line
    assert os.listdir(fspop.folder / "locked") == []


def test_a_worker_needs_to_write_and_a_reader_does_not(fspop, run):
    folders = [path for path in run.rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        line = fspop.refused(78, "worker", "--id", "0", "--dir", "run", before=without_power())
        assert "cannot write in" in line
        assert "3 members" in fspop.good("status", "--dir", "run", before=without_power())
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_read_only_filesystem_is_named(fspop):
    (fspop.folder / "small").mkdir()
    line = fspop.refused(78, "init", "toy.py", "--dir", "small", before=with_mount("ro"))
    assert "Read-only file system" in line


@pytest.mark.parametrize("size", ["size=4k", "nr_inodes=6", "nr_inodes=10"])
def test_a_full_filesystem_is_said_with_what_is_free(fspop, size):
    (fspop.folder / "small").mkdir()
    line = fspop.refused(75, "init", "toy.py", "--dir", "small", before=with_mount(size))
    assert "No space left on device" in line and "free some space" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["worker", "--id", "0", "--cache", "run/cache"], "is inside the run directory"),
        (["worker", "--id", "0", "--cache", "c", "--cache-gb", "inf"], "cache: got a limit of inf"),
        (["set", "checkpoint_budget_gb=1e308"], "checkpoint_budget_gb: got 1e+308"),
        (["simulate", "quadratic", "--seeds", "2"], "run: holds a run, and several seeds need"),
        (["simulate", "quadratic", "--set", "task.step_s=-1"], "task.step_s: got -1"),
    ],
)
def test_settings_that_would_do_harm_are_refused_in_one_line(refused_here, trained, words, said):
    assert said in refused_here(78, *words, "--dir", "run")
