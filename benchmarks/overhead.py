"""What a worker costs its training: the digits example by `fspop worker`, and by a plain loop.

    .venv/bin/python benchmarks/overhead.py [--steps 2000] [--repeat 5] [--dir DIR] [--json]

Both train one member of the example for the same steps, on one thread, and evaluate it at the same
ones. The worker besides makes every report and its checkpoint durable, beats, polls, and writes its
charts; its time is that from joining the run to having left it. The two take turns in processes of
their own, and the ratio is the median of the turns' ratios, so that whatever else the machine does
meets both. On a machine that is busy with other things look at the time without waiting for a
processor, which is that of the training thread. Needs scikit-learn for the digits
(`pip install fspop[examples]`).
"""

import argparse
import contextlib
import io
import json
import os
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


def child(system: str, root: Path, steps: int) -> dict[str, float]:
    """Seconds, and how many reports; what both import is imported before."""
    import tensorboardX.event_file_writer  # noqa: F401
    import torch

    from examples.digits import load_data
    from fspop.worker.daemon import run_worker

    torch.set_num_threads(1)
    load_data()
    torch.optim.SGD([torch.zeros(1)])  # the first one of a process imports for seconds
    began = seconds()
    if system == "plain":
        train_plainly(steps)
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            assert run_worker(root, "0") == 0
    took = {name: value - began[name] for name, value in seconds().items()}
    return {**took, "reports": n_reports(root) if system == "worker" else 0}


def seconds() -> dict[str, float]:
    """On the clock; without what this thread waited for a processor (Linux); of all processors."""
    wall_s, waited_s = time.perf_counter(), 0.0
    with contextlib.suppress(OSError):
        waited_s = int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return {"wall": wall_s, "served": wall_s - waited_s, "cpu": time.process_time()}


# ---- their comparison ----------------------------------------------------------------------------


def run(system: str, folder: Path, n: int, steps: int) -> dict[str, float]:
    root = folder / f"run{n}"
    if system == "worker":
        make_run(root, steps)
    words = [sys.executable, __file__, "--child", system, "--dir", root, "--steps", steps]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    output = subprocess.check_output(list(map(str, words)), env=environment)
    return json.loads(output)


def measure(folder: Path, steps: int, repeat: int) -> list[Figure]:
    turns = []
    for n in range(repeat):
        order = SYSTEMS if n % 2 else SYSTEMS[::-1]
        turns.append({system: run(system, folder, n, steps) for system in order})
    took = {s: statistics.median(turn[s]["wall"] for turn in turns) for s in SYSTEMS}

    def ratio(what: str) -> float:
        return statistics.median(turn["worker"][what] / turn["plain"][what] for turn in turns)

    rate = statistics.median(t["worker"]["reports"] / t["worker"]["served"] for t in turns)
    return [
        Figure(f"plain loop, {steps} steps", took["plain"], "s"),
        Figure("worker, the same", took["worker"], "s"),
        Figure("durable reports and checkpoints, each second of training", rate, "/s", 1.0, False),
        Figure("worker over plain loop", ratio("wall"), "x", 1.05),
        Figure("… without waiting for a processor", ratio("served"), "x"),
        Figure("… in time of all processors", ratio("cpu"), "x"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child, given.dir, given.steps)))
        return 0
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        return show(measure(Path(folder), given.steps, given.repeat), given.json)


if __name__ == "__main__":
    sys.exit(main())
