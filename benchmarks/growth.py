"""Does anything cost more, the longer a run has been going?

    .venv/bin/python benchmarks/growth.py [--records 100000] [--dir DIR] [--json]

Fills a run through real commits (a report with a checkpoint each; every tenth report of a member
begins a new generation, as an exploit would) and compares it with one of 100 records: the same
operation on both in turn, medians over more than two segments. DIR is a memory filesystem by
default, so that the cost of fspop is seen and not the disk's.
"""

import argparse
import dataclasses
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Figure, show
from fspop.controller import PopulationController, new_manifest
from fspop.mutators.base import Decision, Mutator, MutatorState, View
from fspop.paths import RunPaths
from fspop.seeds import Rng
from fspop.storage import FileLog

MEMBERS = 8
SAMPLES = 768
"""Commits measured; three segments, so that each phase of a segment weighs the same in both."""


@dataclasses.dataclass(frozen=True)
class Restart(Mutator):
    """Every member branches from itself after each ten of its reports."""

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        member = view.members[view.reported or 0]
        if member.step - member.start_step < 100:
            return state, []
        hparams = {"learning_rate": rng.member(member.index).random(), "momentum": 0.9}
        return {"branched": member.step}, [
            Decision(member.index, member.checkpoints[-1].point, hparams, "its ten reports are up")
        ]


class Run:
    """A run that reports can be added to, one commit each."""

    def __init__(self, root: Path):
        self.paths = RunPaths(root)
        hparams = [{"learning_rate": 0.1, "momentum": 0.9}] * MEMBERS
        manifest = new_manifest(hparams, Restart(), mode="min", seed=0)
        self.controller = PopulationController.create(root, manifest, Restart())
        self.watcher = FileLog(self.paths)
        self.n = 0

    def fill(self, records: int) -> None:
        while self.n < records - 1:
            self.commit()

    def commit(self) -> None:
        """The next report of the member whose turn it is."""
        member, step = self.n % MEMBERS, (self.n // MEMBERS + 1) * 10
        born = (step - 1) // 100 + 1
        saved = f"checkpoints/m{member:03d}.g{born:04d}/step-{step:09d}.t1"
        self.controller.set_eval(member, f"m{member:03d}.g{born:04d}", step, saved, 1.0 / step)
        self.n += 1


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def compare(short: Run, long: Run) -> dict[str, tuple[float, float]]:
    """Medians in seconds by what was done, in the short run and in the long one."""
    samples: dict[str, tuple[list[float], list[float]]] = {
        "commit": ([], []),
        "poll, one new record": ([], []),
        "poll, nothing new": ([], []),
    }
    for run in (short, long):
        run.watcher.refresh()
    for _ in range(SAMPLES):
        for place, run in enumerate((short, long)):
            samples["commit"][place].append(timed(run.commit))
            samples["poll, one new record"][place].append(timed(run.watcher.refresh))
            samples["poll, nothing new"][place].append(timed(run.watcher.refresh))
    return {what: (statistics.median(a), statistics.median(b)) for what, (a, b) in samples.items()}


OPEN = """
import sys, time
from fspop.paths import RunPaths
from fspop.storage import read_manifest, read_run
began = time.perf_counter()
read_run(sys.argv[1])
print(time.perf_counter() - began)
"""


def opening_s(root: Path) -> float:
    """Seconds a fresh process needs for manifest and state, beyond its imports."""
    command = [sys.executable, "-c", OPEN, str(root)]
    runs = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5))
    return statistics.median(float(run.stdout) for run in runs)


def status_s(root: Path) -> float:
    """Seconds that `fspop status` takes, with everything."""
    command = [sys.executable, "-m", "fspop", "status", "--dir", str(root)]

    def status() -> None:
        subprocess.run(command, capture_output=True, check=True)

    return statistics.median(timed(status) for _ in range(7))


def measure(folder: Path, records: int) -> list[Figure]:
    short, long = Run(folder / "short"), Run(folder / "long")
    filling_s = timed(lambda: long.fill(records))
    short.fill(100)
    figures = [Figure(f"filling {records} records", filling_s, "s")]
    for what, (before, after) in compare(short, long).items():
        figures.append(Figure(f"{what}, at {records}", after * 1e6, "µs"))
        figures.append(Figure(f"{what}, over that at 100", after / before, "x", 1.2))
    assert long.watcher.refresh().seq == long.n + 1, "a report was ignored"
    figures.append(Figure("opening it, beyond imports", opening_s(long.paths.root) * 1e3, "ms", 60))
    if importlib.util.find_spec("fspop.cli") and importlib.util.find_spec("fspop.cli.app"):
        figures.append(Figure("fspop status on it", status_s(long.paths.root) * 1e3, "ms", 300))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm"), help="where to work")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        return show(measure(Path(folder), given.records), given.json)


if __name__ == "__main__":
    sys.exit(main())
