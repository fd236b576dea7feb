"""Small runs on disk for the tests of the log."""

from fspop.paths import RunPaths
from fspop.records import Born, Created, Reported
from fspop.storage import FileLog, create_folders

FIRST = "m000.g0001"


def make_paths(root):
    paths = RunPaths(root / "run")
    create_folders(paths)
    return paths


def begin(log, n_members=2):
    """The first record: a population."""
    births = [Born(i, 1, {"lr": 0.1 * (i + 1)}) for i in range(n_members)]
    return log.commit("init", lambda state: [Created(n_members, "min"), *births])


def small_log(paths, size=8, **settings):
    return FileLog(paths, size, **{"patience_s": 1.0, **settings})


def report(log, n, worker="w"):
    """One record that says `n`, for finding it again."""
    op = Reported(FIRST, n, value=float(n), metrics={"n": n, "worker": worker})
    return log.commit(worker, lambda state: [op])


def numbers(records):
    """What `report` said, in the order of the log."""
    return [
        (op.metrics["worker"], op.metrics["n"])
        for record in records
        for op in record.ops
        if isinstance(op, Reported)
    ]
