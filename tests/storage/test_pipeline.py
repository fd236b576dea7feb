"""Building on a record that somebody else has only offered so far."""

import os
import threading
import time

import pytest

from fspop.errors import Fenced
from fspop.records import Reported
from fspop.storage import FileLog
from fspop.storage.atomic import Offer
from fspop.storage.chain import prepare
from fspop.storage.snapshot import read_records
from tests.storage.stores import FIRST, numbers, report, small_log


class Offered:
    """A record of another committer that gave the lock back and is still flushing."""

    def __init__(self, paths, state, n):
        self.path = paths.record(state.seq)
        op = Reported(FIRST, n, float(n), {"n": n, "worker": "other"})
        self.prepared = prepare(state, "00.1", "other", [op], self.path)
        self.temporary = paths.attempt(state.seq, "00.1", 1)
        self.offer = Offer(self.temporary, self.prepared.raw)

    def keep(self):
        os.link(self.temporary, self.path)
        self.offer.withdraw()


@pytest.fixture
def offered(paths, log):
    return Offered(paths, log.refresh(), 7)


def in_background(call):
    """A thread that runs it, and where its result goes."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


def said(paths):
    """The numbers on record, of a log whose chain holds."""
    FileLog(paths, 8).refresh()
    return [n for _, n in numbers(read_records(paths, 8))]


def test_a_commit_builds_on_an_offered_record_and_waits_for_it(paths, log, offered):
    patient = FileLog(paths, 8)
    patient._flush_s = 2.0  # as on a very slow disk, so that it waits long enough for us
    seen = []
    op = Reported(FIRST, 8, 8.0, {"n": 8, "worker": "w"})
    thread, results = in_background(
        lambda: patient.commit("w", lambda s: seen.append(s.members[0].generation.step) or [op])
    )
    while not list(paths.log.glob(f".{offered.prepared.record.seq + 1:012d}.*.tmp")):
        time.sleep(0.005)
    assert seen == [7] and not results
    offered.keep()
    thread.join()
    assert seen == [7] and results[0].record.previous == offered.prepared.state.digest
    assert said(paths) == [7, 8]


def test_the_lock_is_free_while_a_slow_flush_goes_on(paths, log, monkeypatch):
    slow, quick = (FileLog(paths, 8, pipelined_above_s=-1.0) for _ in range(2))
    flush, flushing, go_on = os.fsync, threading.Event(), threading.Event()

    def flush_when_told(fd):
        flushing.set()
        assert go_on.wait(20)
        flush(fd)

    monkeypatch.setattr("os.fsync", flush_when_told)
    thread = threading.Thread(target=lambda: report(slow, 1))
    thread.start()
    assert flushing.wait(20) and quick._lock.acquire()
    quick._lock.release()
    go_on.set()
    thread.join()
    assert said(paths) == [1]


def test_an_offer_that_is_not_kept_delays_the_next_commit_by_its_patience_only(paths, log, offered):
    began = time.monotonic()
    assert report(log, 8).record.seq == offered.prepared.record.seq
    assert time.monotonic() - began < 1.0
    began = time.monotonic()
    report(log, 9)
    assert time.monotonic() - began < 1.0 and said(paths) == [8, 9]


def test_a_withdrawn_offer_ends_the_waiting_at_once(paths, log, offered):
    log._flush_s = 60.0
    thread, results = in_background(lambda: report(log, 8))
    while not list(paths.log.glob(f".{offered.prepared.record.seq + 1:012d}.*.tmp")):
        time.sleep(0.005)
    offered.offer.withdraw()
    thread.join(20)
    assert results[0].record.seq == offered.prepared.record.seq and said(paths) == [8]


def test_another_record_in_the_place_of_an_offered_one_is_built_on_instead(paths, log, offered):
    log._flush_s = 60.0
    thread, results = in_background(lambda: report(log, 8))
    while not list(paths.log.glob(f".{offered.prepared.record.seq + 1:012d}.*.tmp")):
        time.sleep(0.005)
    report(small_log(paths, 8, use_lock=False), 6)
    thread.join(20)
    assert results[0].record.seq == offered.prepared.record.seq + 1 and said(paths) == [6, 8]


@pytest.mark.parametrize("kept", [True, False])
def test_what_build_says_to_an_offered_state_counts_only_once_that_is_the_log(
    kept, paths, log, offered
):
    def build(state):
        steps.append(state.members[0].generation.step)
        if steps[-1] == 7:
            raise Fenced("taken over")
        return []

    steps = []
    if kept:
        threading.Timer(0.005, offered.keep).start()
        with pytest.raises(Fenced):
            while True:
                log.commit("w", build)
        assert log.refresh().members[0].generation.step == 7
    else:
        assert log.commit("w", build).record is None and steps == [7, 0]


@pytest.mark.parametrize("content", [b"", b"half a rec", b'{"format":1}\n'])
def test_what_cannot_be_read_as_the_next_record_is_not_built_on(content, paths, log):
    seq = log.refresh().seq
    paths.attempt(seq, "00.1", 1).write_bytes(content)
    began = time.monotonic()
    assert report(log, 8).record.seq == seq
    assert time.monotonic() - began < 1.0


def test_an_offer_on_another_record_than_the_last_is_not_built_on(paths, log, offered):
    offered.offer.withdraw()
    report(log, 6)
    stale = paths.attempt(log.refresh().seq, "00.2", 1)
    stale.write_bytes(offered.prepared.raw)
    report(log, 8)
    assert said(paths) == [6, 8]


def test_a_crowd_that_pipelines_records_everything_once(paths, log):
    logs = [FileLog(paths, 8, pipelined_above_s=-1.0) for _ in range(4)]
    threads = [
        threading.Thread(
            target=lambda i=i, each=each: [report(each, 40 * i + n) for n in range(25)]
        )
        for i, each in enumerate(logs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said(paths)) == sorted(40 * i + n for i in range(4) for n in range(25))
