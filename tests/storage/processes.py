"""Real processes on one log, and what must hold whatever was done to them."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

from fspop.storage.snapshot import read_records
from tests.storage.stores import numbers

COMMITTER = Path(__file__).with_name("committer.py")


def start(paths, name, seconds=60.0, size=8, *flags, **environment):
    """A committer; environment variables are e.g. FSPOP_CRASH_AT."""
    command = [sys.executable, COMMITTER, paths.root, name, seconds, size, *flags]
    env = {**os.environ, **environment}
    with open(paths.root / f"{name}.errors", "ab") as errors:
        return subprocess.Popen([str(word) for word in command], env=env, stderr=errors)


def end(process):
    """Its exit code; ends it first if it still runs."""
    if process.poll() is None:
        process.kill()
    return process.wait()


def acknowledged(paths):
    """{(worker, n): seq} of every commit that returned in any process."""
    found = {}
    for diary in paths.root.glob("*.diary"):
        for line in diary.read_text().splitlines():
            words = line.split()
            if words[0] == "done" and len(words) == 3:
                found[diary.stem, int(words[1])] = int(words[2])
    return found


def check_nothing_lost(paths, size=8):
    """Every acknowledged record is in the log or the history exactly once, at the number that was
    acknowledged, and the numbers have no hole. Returns how many were acknowledged.
    """
    errors = "".join(path.read_text() for path in paths.root.glob("*.errors"))
    assert not errors, errors[-3000:]
    records = list(read_records(paths, size))
    assert [record.seq for record in records] == list(range(len(records)))
    for before, after in itertools.pairwise(records):
        assert before.txn != after.txn and after.previous != before.previous
    said = numbers(records)
    assert len(set(said)) == len(said), "a report was recorded twice"
    place = {key: record.seq for record in records for key in numbers([record])}
    done = acknowledged(paths)
    lost = {key: seq for key, seq in done.items() if place.get(key) != seq}
    assert not lost, f"{len(lost)} of {len(done)} acknowledged records lost: {sorted(lost)[:5]}"
    return len(done)
