"""A process killed with -9 at each named place of a commit: others go on from the old state or the
new one.
"""

import signal
import time

import pytest

from fspop.storage import crash
from fspop.storage.snapshot import read_records
from tests.storage.processes import acknowledged, check_nothing_lost, end, start
from tests.storage.stores import numbers, report

POINTS = [point for point in crash.POINTS if point.startswith(("commit.", "compact."))]
RECORDED = {"commit.linked", "commit.unlocked", "commit.synced", "commit.acknowledged"}


@pytest.mark.parametrize("flags", [[], ["--pipelined"]], ids=["", "pipelined"])
@pytest.mark.parametrize("point", POINTS)
def test_others_go_on_after_a_kill_at(point, flags, paths, log):
    victim = start(paths, "victim", 20.0, 8, "--count", "40", *flags, FSPOP_CRASH_AT=point)
    assert victim.wait(100) == -signal.SIGKILL and end(victim) == -signal.SIGKILL
    done = acknowledged(paths)
    seen = log.refresh()
    began = time.monotonic()
    report(log, 1000)
    assert time.monotonic() - began < 1.9, "it waited for the lock"
    check_nothing_lost(paths)
    found = [n for worker, n in numbers(read_records(paths, 8)) if worker == "victim"]
    assert found in ([*range(len(done))], [*range(len(done) + 1)])
    if point in RECORDED:
        assert found == [0] and not done
    assert seen.seq == 1 + len(found)


@pytest.mark.parametrize("point", POINTS)
def test_what_a_kill_left_behind_is_gone_after_the_next_compaction(point, paths, log):
    victim = start(paths, "victim", 20.0, 8, "--count", "40", FSPOP_CRASH_AT=point)
    victim.wait(100)
    end(victim)
    for n in range(24):
        report(log, n)
    left = [p for folder in (paths.log, paths.snapshots, paths.history) for p in folder.iterdir()]
    assert [p.name for p in left if p.name.startswith(".")] == []
    assert len(list(paths.log.iterdir())) <= 8


def test_every_point_is_reached_in_the_code_and_every_reached_point_is_named():
    import re
    from pathlib import Path

    files = (Path(crash.__file__).parents[1]).rglob("*.py")
    reached = {
        name for file in files for name in re.findall(r'\breach\("(.*?)"\)', file.read_text())
    }
    assert reached == set(crash.POINTS)


def test_a_process_may_be_told_to_stop_at_a_point(paths, log):
    sleeper = start(paths, "sleeper", 20.0, 8, "--count", "3", FSPOP_STOP_AT="commit.written:2")
    try:
        deadline = time.monotonic() + 100
        while "T" not in state_of(sleeper.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(acknowledged(paths)) == 1
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(100) == 0
    finally:
        end(sleeper)
    assert check_nothing_lost(paths) == 3


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
