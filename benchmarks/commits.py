"""Processes committing at once, with Optuna's journal beside them in the same run.

    .venv/bin/python benchmarks/commits.py [--processes 8] [--seconds 10] [--flush-ms 4] [--dir DIR]

Both report one evaluation durably and read back what changed. Two measures:
* so many seconds of reporting as often as possible. A lock that one process keeps for itself does
  well here: it shows in "slowest over fastest process".
* a round: each process makes 50 reports, and the round is over when the last one is done, as in
  training, where the slowest decides when the others go on.
The two take turns, so that whatever else the machine does meets both. A flush takes from 0.1 ms on
a fast local disk to several ms on a busy or remote one, and decides which of the two is limited by
what: `--flush-ms 4` makes every fsync of both take 4 ms longer. Needs optuna for the comparison
(`pip install fspop[benchmarks]`).
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Figure, show

KILLS = 15
SHARE = 50


# ---- one process ---------------------------------------------------------------------------------


def fspop_report(root: Path):
    from fspop.paths import RunPaths
    from fspop.records import Reported
    from fspop.storage import FileLog

    log = FileLog(RunPaths(root))
    log.refresh()

    def report(n: int) -> None:
        member = n % 8
        op = Reported(f"m{member:03d}.g0001", n, n / 7, {"loss": n / 7})
        log.commit("w", lambda state: [op])

    return report


def optuna_report(root: Path):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(root / "journal.log")))
    study = optuna.load_study(study_name="s", storage=storage)
    trial = study.ask()
    return lambda n: storage.set_trial_intermediate_value(trial._trial_id, n, n / 7)


def slow_down_flushes(by_s: float) -> None:
    """Every fsync of this process takes so much longer, as on a slower disk."""
    fsync = os.fsync

    def slower(fd) -> None:
        fsync(fd)
        time.sleep(by_s)

    os.fsync = slower


def child(system: str, root: Path, name: str, seconds: float, share: int) -> None:
    """Reports as often as it can (at most `share` times), from the moment the file `go` appears;
    says how often, how long the slowest took, and the time for all.
    """
    report = fspop_report(root) if system == "fspop" else optuna_report(root)
    (root / f"{name}.ready").touch()
    while not (root / "go").exists():
        time.sleep(0.002)
    count, worst_s, first = 0, 0.0, time.monotonic()
    while (began := time.monotonic()) < first + seconds and count < share:
        report(count)
        count += 1
        worst_s = max(worst_s, time.monotonic() - began)
    (root / f"{name}.json").write_text(json.dumps([count, worst_s, time.monotonic() - first]))


# ---- all of them ---------------------------------------------------------------------------------


def prepare(system: str, root: Path) -> None:
    if system == "fspop":
        from fspop.paths import RunPaths
        from fspop.records import Born, Created
        from fspop.storage import FileLog, create_folders

        create_folders(RunPaths(root))
        births = [Born(i, 1, {"lr": 0.1}) for i in range(8)]
        FileLog(RunPaths(root)).commit("init", lambda state: [Created(8, "min"), *births])
        return
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(root / "journal.log")))
    optuna.create_study(study_name="s", storage=storage)


def turn(
    system: str, root: Path, n: int, seconds: float, flush_ms: float, share: int = 10**9
) -> list[list[float]]:
    """[reports, worst wait, time] of each of `n` processes working at once."""
    for path in root.glob("*.ready"):
        path.unlink()
    (root / "go").unlink(missing_ok=True)
    names = [f"p{i}" for i in range(n)]
    command = [sys.executable, __file__, "--child", system, "--dir", root, "--seconds", seconds]
    command += ["--share", share, "--flush-ms", flush_ms]
    processes = [
        subprocess.Popen([str(word) for word in [*command, "--name", name]]) for name in names
    ]
    try:
        while len(list(root.glob("*.ready"))) < n:
            time.sleep(0.01)
        (root / "go").touch()
    finally:
        codes = [process.wait() for process in processes]
    assert not any(codes), codes
    return [json.loads((root / f"{name}.json").read_text()) for name in names]


def after_kill(root: Path) -> list[float]:
    """Seconds from a kill -9 of the lock's holder to the end of the commit that waited for it."""
    report = fspop_report(root)
    waited = []
    for n in range(KILLS):
        environment = {**os.environ, "FSPOP_STOP_AT": "commit.built"}
        command = [sys.executable, __file__, "--child", "fspop", "--dir", str(root)]
        holder = subprocess.Popen([*command, "--name", "holder", "--seconds", "9"], env=environment)
        while not is_stopped(holder.pid):
            time.sleep(0.005)
        done: list[float] = []
        waiter = threading.Thread(
            target=lambda n=n, d=done: (report(n), d.append(time.monotonic()))
        )
        waiter.start()
        time.sleep(0.2)
        assert not done, "the holder held nothing"
        began = time.monotonic()
        holder.kill()
        waiter.join()
        holder.wait()
        waited.append(done[0] - began)
    return waited


def rounds(folder: Path, n: int, flush_ms: float) -> list[Figure]:
    """How long until every process has made its share of reports, the median of three rounds."""
    took: dict[str, list[float]] = {"fspop": [], "optuna": []}
    for _ in range(3):
        for system, times in took.items():
            results = turn(system, folder / system, n, 600.0, flush_ms, SHARE)
            times.append(max(time for _, _, time in results))
    medians = {system: statistics.median(times) for system, times in took.items()}
    return [
        Figure(f"a round of {n} x {SHARE} reports", medians["fspop"], "s"),
        Figure("the same with Optuna's journal", medians["optuna"], "s"),
        Figure(
            "round throughput over Optuna's", medians["optuna"] / medians["fspop"], "x", 2.0, False
        ),
    ]


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def measure(folder: Path, n: int, seconds: float, flush_ms: float) -> list[Figure]:
    systems = ["fspop"] + ["optuna"] * (importlib.util.find_spec("optuna") is not None)
    counts = {system: [0.0] * n for system in systems}
    worst, took = dict.fromkeys(systems, 0.0), dict.fromkeys(systems, 0.0)
    for system in systems:
        (folder / system).mkdir()
        prepare(system, folder / system)
    for system in ["fspop", *systems[1:], "fspop"]:
        share = seconds / 2 if system == "fspop" else seconds
        results = turn(system, folder / system, n, share, flush_ms)
        counts[system] = [a + b for a, (b, _, _) in zip(counts[system], results, strict=True)]
        worst[system] = max(worst[system], *(wait for _, wait, _ in results))
        took[system] += max(time for _, _, time in results)
    rate = {system: sum(counts[system]) / took[system] for system in systems}
    fair = min(counts["fspop"]) / max(counts["fspop"])
    figures = [Figure("fspop: commits per second, all processes", rate["fspop"], "1/s")]
    if "optuna" in systems:
        ratio = rate["fspop"] / rate["optuna"]
        unfair = min(counts["optuna"]) / max(counts["optuna"])
        figures += [
            Figure("Optuna's journal: reports per second", rate["optuna"], "1/s"),
            Figure("Optuna's journal: slowest over fastest process", unfair, ""),
            Figure("Optuna's journal: worst wait", worst["optuna"], "s"),
            Figure("throughput over Optuna's", ratio, "x", 2.0, at_most=False),
            *rounds(folder, n, flush_ms),
        ]
    waits = after_kill(folder / "fspop")
    return [
        *figures,
        Figure("slowest over fastest process", fair, "", 0.3, at_most=False),
        Figure("worst wait of one commit", worst["fspop"], "s", 1.0),
        Figure(
            "kill -9 of the holder to next commit, median", statistics.median(waits) * 1e3, "ms", 50
        ),
        Figure("kill -9 of the holder to next commit, worst", max(waits) * 1e3, "ms"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flush-ms", type=float, default=0.0, help="lengthens each fsync")
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=["fspop", "optuna"], help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, default=10**9, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        if given.flush_ms:
            slow_down_flushes(given.flush_ms / 1e3)
        child(given.child, given.dir, given.name, given.seconds, given.share)
        return 0
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        return show(
            measure(Path(folder), given.processes, given.seconds, given.flush_ms), given.json
        )


if __name__ == "__main__":
    sys.exit(main())
