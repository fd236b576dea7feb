import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fspop.cli import app

TOY = """
import os
import time

from fspop import Experiment, Uniform
from fspop.mutators import TruncationSelection

class Toy:
    def setup(self, context):
        self.context, self.total = context, 0.0

    def train(self, n_steps):
        time.sleep(n_steps * float(os.environ.get("TOY_STEP_S", "0")))
        if os.environ.get("TOY_RAISES"):
            raise ValueError("no data")
        self.total += n_steps * self.context.hparams["x"]

    def evaluate(self):
        return float(os.environ.get("TOY_VALUE", self.total))

    def state_dict(self):
        return {} if os.environ.get("TOY_FORGETS") else {"total": self.total}

    def load_state_dict(self, state):
        self.total = state.get("total", 0.0)

experiment = Experiment(
    task=Toy, members=3, mode="max", total_steps=40, report_every=10,
    space={"x": Uniform(0.1, 1.0)}, mutator=TruncationSelection(interval=10), tensorboard=False,
)
large = Experiment(
    task=Toy, members=6, mode="max", total_steps=40, report_every=10,
    space={"x": Uniform(0.1, 1.0)}, mutator=TruncationSelection(interval=10), tensorboard=False,
)
"""
PROJECT = Path(__file__).parents[2]


class Cli:
    """The command `fspop` as its own process, in a folder that holds toy.py."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []
        (folder / "toy.py").write_text(TOY)

    def start(self, *words, before=(), **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("FSPOP_", "COLUMNS"))}
        process = subprocess.Popen(
            [*before, sys.executable, "-P", "-m", "fspop", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**clean, "PYTHONPATH": str(PROJECT), **environment},
        )
        self.started.append(process)
        return process

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
            process.stderr.close()

    def __call__(self, *words, **settings):
        process = self.start(*words, **settings)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def good(self, *words, **settings):
        """The output of a command that must succeed."""
        done = self(*words, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, code, *words, **settings):
        """The one line of a command that must fail with this exit code."""
        done = self(*words, **settings)
        lines = done.stderr.splitlines()
        assert (done.returncode, len(lines)) == (code, 1), done
        assert lines[0].startswith("fspop: error: ")
        return lines[0].removeprefix("fspop: error: ")


@pytest.fixture
def fspop(tmp_path):
    cli = Cli(tmp_path)
    yield cli
    cli.end()


@pytest.fixture
def refused_here(fspop, monkeypatch, capsys):
    """Like `fspop.refused`, but quickly, in this process."""
    monkeypatch.chdir(fspop.folder)
    for name in ("FSPOP_DIR", "FSPOP_DATA", "FSPOP_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def refused(code, *words):
        found = app.run([*map(str, words)])
        lines = capsys.readouterr().err.splitlines()
        assert (found, len(lines)) == (code, 1), lines
        return lines[0].removeprefix("fspop: error: ")

    return refused


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A folder with a run that nobody trained, and a trained one."""
    cli = Cli(tmp_path_factory.mktemp("made"))
    cli.good("init", "toy.py", "--dir", "run")
    shutil.copytree(cli.folder / "run", cli.folder / "trained")
    cli.good("worker", "--id", "0", "--dir", "trained")
    cli.end()
    return cli.folder


@pytest.fixture
def run(fspop, made_once):
    """A run that nobody trained yet, `run` to the commands; runs may be copied."""
    return shutil.copytree(made_once / "run", fspop.folder / "run")


@pytest.fixture
def trained(fspop, made_once):
    """A finished run, `run` to the commands."""
    return shutil.copytree(made_once / "trained", fspop.folder / "run")
