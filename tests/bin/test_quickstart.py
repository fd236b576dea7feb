import json
import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from fspop.report.lineage import lineage
from fspop.storage import read_history

ROOT = Path(__file__).parents[2]
CPU_LIMIT_S = 240
"""It promises 4 minutes on 2 cores; CPU time, because other tests may use the cores too."""


def status(run):
    command = [ROOT / ".venv/bin/fspop", "status", "--json", "--dir", run]
    return json.loads(subprocess.check_output(command))


def cpu_of_children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def installed():
    """The environment that bin/quickstart makes is not counted in its time."""
    subprocess.run([ROOT / "bin/setup-venv"], check=True)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_the_quickstart_recovers_from_a_killed_worker_in_time(installed, tmp_path):
    run = tmp_path / "run"
    began_s = cpu_of_children_s()
    done = subprocess.run([ROOT / "bin/quickstart", run], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cpu_of_children_s() - began_s < CPU_LIMIT_S
    assert "kill -9 of worker" in done.stdout and "although its worker was killed" in done.stdout
    assert "% trained" in done.stdout.partition("kill -9 of worker")[2]
    now = status(run)
    assert now["state"] == "finished" and now["best"]["value"] >= 0.98
    assert_every_lineage_ends_in_a_root(run, now["members"])


def assert_every_lineage_ends_in_a_root(run, members):
    records = list(read_history(run))
    lines = [lineage(records, member["generation"]) for member in members]
    assert len(lines) == 8 and all(line[-1].parent is None for line in lines)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_quickstart_says_how_it_is_used(option):
    done = subprocess.run([ROOT / "bin/quickstart", option], capture_output=True, text=True)
    assert done.returncode == 0 and "bin/quickstart [DIR]" in done.stdout
    assert "set -" not in done.stdout


@pytest.mark.parametrize("words", [["--hlep"], ["-x", "run"], ["one", "two"]])
def test_what_the_quickstart_cannot_use_is_refused_in_one_line(words):
    done = subprocess.run([ROOT / "bin/quickstart", *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "got" in done.stderr and "--help" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interrupted_quickstart_leaves_no_worker_behind(installed, tmp_path):
    run = tmp_path / "run"
    with subprocess.Popen([ROOT / "bin/quickstart", run], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while len(workers := list(run.glob("workers/*.json"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.2)
        pids = [json.loads(path.read_text())["pid"] for path in workers]
        process.terminate()
        assert process.wait(200) == 130
    assert len(pids) == 4 and not any(alive(pid) for pid in pids)


@pytest.mark.slow
def test_a_quickstart_in_a_folder_of_somebody_else_starts_nothing(installed, tmp_path):
    (tmp_path / "something").write_text("of somebody else")
    done = subprocess.run([ROOT / "bin/quickstart", tmp_path], capture_output=True, text=True)
    assert done.returncode == 78 and "starting" not in done.stdout
    assert os.listdir(tmp_path) == ["something"]
