"""Worker processes of one run that a test kills at random and starts again, as systemd would."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from fspop.records import Born, Point, Reported, State, generation_id
from fspop.storage import read_history, read_run

SYNTHETIC = Path(__file__).parents[2] / "examples" / "synthetic.py"
FSPOP = [sys.executable, "-m", "fspop"]
_REPORTED = re.compile(r"INFO (m\d+\.g\d+) step (\d+): ")


def init(root: Path, *settings: str) -> None:
    """A new run of the synthetic example; `settings` as `key=value`."""
    settings = ("tensorboard=false", *settings)  # it would import torch at every start
    overrides = [word for setting in settings for word in ("--set", setting)]
    command = [*FSPOP, "init", str(SYNTHETIC), "--dir", str(root), *overrides]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


class Fleet:
    """`n` workers; a killed one is started again under its id. Ends them all on leaving."""

    def __init__(self, root: Path, n: int, step_s: float = 0.0):
        self.root = root
        self.environment = {**os.environ, "FSPOP_SYNTHETIC_STEP_S": str(step_s)}
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.ids = list(range(n))
        self.kills = 0

    def log(self, worker: int) -> Path:
        return self.root / "logs" / f"worker-{worker}.log"

    def start(self, worker: int) -> None:
        command = [*FSPOP, "worker", "--id", str(worker), "--dir", str(self.root)]
        with open(self.log(worker), "ab") as log:
            self.processes[worker] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=self.environment
            )

    def __enter__(self) -> "Fleet":
        for worker in self.ids:
            self.start(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def kill(self, worker: int) -> None:
        self.processes[worker].send_signal(signal.SIGKILL)
        self.processes[worker].wait()
        self.kills += 1

    def run(
        self,
        kills: int,
        seed: int,
        timeout_s: float = 110.0,
        every_s: tuple[float, float] = (0.05, 0.5),
    ) -> None:
        """Kills every `every_s` seconds (from, to) until `kills` were dealt, restarts, and waits
        for the end.
        """
        dice, deadline = random.Random(seed), time.monotonic() + timeout_s
        while any(p.poll() is None for p in self.processes.values()):
            assert time.monotonic() < deadline, f"not finished after {timeout_s} s"
            time.sleep(dice.uniform(*every_s) if self.kills < kills else 0.05)
            alive = [w for w, p in self.processes.items() if p.poll() is None]
            if alive and self.kills < kills:
                worker = dice.choice(alive)
                self.kill(worker)
                self.start(worker)
        for worker, process in self.processes.items():
            assert process.returncode == 0, self.log(worker).read_text()[-2000:]

    def acknowledged(self) -> set[Point]:
        """The points whose report a worker printed after it was acknowledged."""
        texts = (self.log(worker).read_text() for worker in self.ids)
        return {Point(g, int(s)) for text in texts for g, s in _REPORTED.findall(text)}


def decisions(root: Path) -> list[tuple[object, ...]]:
    """Every generation of a run, sorted: who, with what, from where, by digest."""
    births = [op for record in read_history(root) for op in record.ops if isinstance(op, Born)]
    return sorted(
        (
            generation_id(b.member, b.index),
            repr(b.hparams),
            b.origin.point if b.origin else Point("", 0),
            b.origin.digest if b.origin else "",
        )
        for b in births
    )


def final_digests(state: State) -> list[str]:
    """The digest of each member's last checkpoint."""
    return [member.generation.checkpoints[-1].digest for member in state.members]


def check_invariants(fleet: Fleet) -> State:
    """What must hold after any disaster; returns the final state."""
    _, state = read_run(fleet.root)
    records = list(read_history(fleet.root))
    assert [record.seq for record in records] == list(range(len(records)))
    assert len({record.txn for record in records}) == len(records)
    reports = [op for record in records for op in record.ops if isinstance(op, Reported)]
    points = {Point(op.generation, op.step) for op in reports}
    missing = fleet.acknowledged() - points
    assert not missing, f"acknowledged but not recorded: {missing}"
    saved = {Point(op.generation, op.step) for op in reports if op.checkpoint}
    births = [op for record in records for op in record.ops if isinstance(op, Born)]
    assert all(birth.origin is None or birth.origin.point in saved for birth in births)
    check_lineages_end(births)
    assert {member.status for member in state.members} == {"finished"}
    for checkpoint in state.kept:
        assert (fleet.root / checkpoint.params).is_dir()
    return state


def check_lineages_end(births: list[Born]) -> None:
    parents = {generation_id(b.member, b.index): b.origin for b in births}
    for generation in parents:
        seen = set()
        while (origin := parents[generation]) is not None:
            assert generation not in seen, f"a cycle through {generation}"
            seen.add(generation)
            generation = origin.generation
