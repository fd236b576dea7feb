"""What a worker costs its training: the digits example by `fspop worker`, and by a plain loop.

    .venv/bin/python benchmarks/overhead.py [--steps 2000] [--repeat 5] [--slice-s 0.5] [--json]

Both train one member of the example for the same steps, on one thread, and evaluate it at the same
ones. The worker besides makes every report and its checkpoint durable, beats, polls, and writes its
charts; its time is that from joining the run to having left it. Each is a process of its own; the
two take turns of half a second, one stopped while the other runs, so that whatever else the machine
does (a processor may be a third slower for minutes) meets both. The ratio is the median of a few
such pairs. Needs scikit-learn for the digits (`pip install fspop[examples]`).
"""

import argparse
import contextlib
import io
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Figure, show

ROOT = Path(__file__).parents[1]
SYSTEMS = ("plain", "worker")
REPORT_EVERY = 100  # as in the example
HPARAMS = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4, "dropout": 0.3}

EXPERIMENT = """
from examples.digits import DigitsTask
from fspop import Experiment
from fspop.mutators import FixedSchedule

experiment = Experiment(
    task=DigitsTask, members=1, mode="max", metric="accuracy", initial_population=[{hparams}],
    mutator=FixedSchedule({{0: {hparams}}}), total_steps={steps}, report_every={every},
)
"""


# ---- one process ---------------------------------------------------------------------------------


def train_plainly(steps: int) -> None:
    """As anybody would write it: no checkpoint, no report."""
    from examples.digits import DigitsTask
    from fspop.training import Context

    task = DigitsTask()
    task.setup(Context(0, "m000.g0000", HPARAMS, seed=0, total_steps=steps))
    task.apply_hparams(HPARAMS)
    for _ in range(steps // REPORT_EVERY):
        task.train(REPORT_EVERY)
        task.evaluate()


def make_run(root: Path, steps: int) -> None:
    from fspop.cli.creation import create

    file = root.with_suffix(".py")
    file.write_text(EXPERIMENT.format(hparams=HPARAMS, steps=steps, every=REPORT_EVERY))
    create(str(file), root, {}, None)


def n_reports(root: Path) -> int:
    """Those with a score; fails where a step was not trained or a checkpoint is not on record."""
    from fspop.records import Reported
    from fspop.storage import read_history

    ops = [op for record in read_history(root) for op in record.ops if isinstance(op, Reported)]
    assert all(op.checkpoint is not None and op.checkpoint.digest for op in ops)
    return sum(op.value is not None for op in ops)


def child(system: str, root: Path, steps: int) -> None:
    """Imports what both need, stops itself until it is to go on, and says when it is done."""
    import tensorboardX.event_file_writer  # noqa: F401
    import torch

    from examples.digits import load_data
    from fspop.worker.daemon import run_worker

    torch.set_num_threads(1)
    load_data()
    torch.optim.SGD([torch.zeros(1)])  # the first one of a process imports for seconds
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    began = time.process_time()
    if system == "plain":
        train_plainly(steps)
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            assert run_worker(root, "0") == 0
    print(time.process_time() - began, flush=True)


class Runner:
    """One of the two processes, with the time in which it was not stopped."""

    def __init__(self, system: str, root: Path, steps: int):
        if system == "worker":
            make_run(root, steps)
        words = [sys.executable, __file__, "--child", system, "--dir", root, "--steps", steps]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            list(map(str, words)), env=environment, stdout=subprocess.PIPE, text=True
        )
        self.pid, self.wall_s, self.cpu_s = self._process.pid, 0.0, None
        assert self._process.stdout is not None and self._process.stdout.readline() == "ready\n"
        os.waitpid(self.pid, os.WUNTRACED)

    def turn(self, slice_s: float) -> None:
        """Lets it run for so long, or to its end."""
        began_s = time.perf_counter()
        os.kill(self.pid, signal.SIGCONT)
        output = self._process.stdout
        assert output is not None
        ended = bool(select.select([output], [], [], slice_s)[0])
        if not ended:
            os.kill(self.pid, signal.SIGSTOP)
            ended = os.WIFEXITED(os.waitpid(self.pid, os.WUNTRACED)[1])
        self.wall_s += time.perf_counter() - began_s
        if ended:
            self.cpu_s = float(output.readline())
            self._process.wait()

    def kill(self) -> None:
        """Ends it, whatever it is at."""
        self._process.kill()
        self._process.wait()


# ---- their comparison ----------------------------------------------------------------------------


def pair(folder: Path, n: int, steps: int, slice_s: float) -> dict[str, tuple[float, float]]:
    """By system, seconds on the clock and of all processors."""
    runners = {system: Runner(system, folder / f"run{n}", steps) for system in SYSTEMS}
    left = [runners[system] for system in (SYSTEMS if n % 2 else SYSTEMS[::-1])]
    try:
        while left:
            for runner in left:
                runner.turn(slice_s)
            left = [runner for runner in left if runner.cpu_s is None]
    finally:
        for runner in left:
            runner.kill()
    return {system: (r.wall_s, r.cpu_s or 0.0) for system, r in runners.items()}


def measure(folder: Path, steps: int, repeat: int, slice_s: float) -> list[Figure]:
    pairs = [pair(folder, n, steps, slice_s) for n in range(repeat)]
    walls, cpus = ([p["worker"][i] / p["plain"][i] for p in pairs] for i in (0, 1))
    took = {s: statistics.median(p[s][0] for p in pairs) for s in SYSTEMS}
    reports = n_reports(folder / "run0")
    return [
        Figure(f"plain loop, {steps} steps", took["plain"], "s"),
        Figure("worker, the same", took["worker"], "s"),
        Figure(
            "durable reports, each second of training", reports / took["worker"], "/s", 1, False
        ),
        Figure("worker over plain loop", statistics.median(walls), "x", 1.05),
        Figure("… the least of the pairs", min(walls), "x"),
        Figure("… the most of them", max(walls), "x"),
        Figure("… in time of all processors", statistics.median(cpus), "x"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=5, help="pairs")
    parser.add_argument("--slice-s", type=float, default=0.5, help="how long a turn is")
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.dir, given.steps)
        return 0
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        return show(measure(Path(folder), given.steps, given.repeat, given.slice_s), given.json)


if __name__ == "__main__":
    sys.exit(main())
