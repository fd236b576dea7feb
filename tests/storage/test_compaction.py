"""Snapshots and history: the past moves house while others read, write and sleep."""

import gzip
import os

import pytest

from fspop.errors import Damaged
from fspop.storage import snapshot
from fspop.storage.snapshot import compact, read_records, read_segment
from tests.storage.stores import numbers, report, small_log


def records(paths):
    return list(read_records(paths, 8))


def names(folder):
    return sorted(os.listdir(folder))


class NothingRecent:
    """The memory of a process that has just begun."""

    def recent(self, seq):
        return None

    def folded(self, seq):
        return None


def test_records_move_to_the_history_and_none_is_lost(paths, log):
    for n in range(30):
        report(log, n)
    assert numbers(records(paths)) == [("w", n) for n in range(30)]
    assert names(paths.history) == [
        "000000000000-000000000007.jsonl.gz",
        "000000000008-000000000015.jsonl.gz",
        "000000000016-000000000023.jsonl.gz",
    ]
    assert names(paths.snapshots) == ["000000000016.json", "000000000024.json"]
    assert names(paths.log) == [f"{n:012d}.json" for n in range(24, 31)]


def test_a_fresh_process_gets_the_same_state_from_the_snapshot(paths, log):
    for n in range(30):
        report(log, n)
    assert small_log(paths).refresh() == log.refresh()


def test_a_snapshot_holds_the_fold_of_all_records_below_it(paths, log):
    states = {}
    for n in range(30):
        committed = report(log, n)
        states[committed.state.seq] = committed.state
    for seq in (16, 24):
        assert snapshot.load_snapshot(paths, seq) == states[seq]


def test_the_log_stays_short_and_the_state_small_however_long_the_run(paths, log):
    sizes = []
    for n in range(300):
        report(log, n)
        sizes.append((len(names(paths.log)), len(names(paths.snapshots))))
    assert max(length for length, _ in sizes) <= 16 and max(s for _, s in sizes) <= 2


def test_a_process_that_slept_through_many_compactions_goes_on(paths, log):
    sleeper = small_log(paths)
    sleeper.refresh()
    for n in range(100):
        report(log, n)
    assert report(sleeper, 100).record.seq == 101
    assert log.refresh() == sleeper.refresh()


def test_a_late_compaction_changes_nothing(paths, log, monkeypatch):
    """Somebody read everything, slept, and publishes and cleans long after others did."""
    late, original = [], snapshot._publish
    with monkeypatch.context() as context:
        context.setattr(snapshot, "_publish", lambda *arguments: late.append(arguments) or boom())
        for n in range(7):
            report(log, n)
    assert len(late) == 1
    for n in range(7, 50):
        report(log, n)
    before = (numbers(records(paths)), log.refresh(), names(paths.history))
    for arguments in late:
        original(*arguments)
        snapshot._clean(paths, 0, 8)
    assert (numbers(records(paths)), small_log(paths).refresh(), names(paths.history)) == before
    assert report(small_log(paths), 50).record.seq == 51


def test_two_compactions_of_the_same_records_give_the_same_bytes(paths, log, tmp_path):
    for n in range(9):
        report(log, n)
    published = {p: p.read_bytes() for p in [*paths.history.iterdir(), *paths.snapshots.iterdir()]}
    for path in published:
        path.unlink()
    for seq, raw in enumerate(gzip.decompress(published[paths.segment(0, 7)]).splitlines(True)):
        paths.record(seq).write_bytes(raw)
    compact(paths, 9, 8, "late.1", NothingRecent())
    assert {path: path.read_bytes() for path in published} == published


def test_temporaries_of_the_dead_are_cleaned_and_those_of_the_living_are_not(paths, log):
    dead, living = paths.attempt(3, "dead.1", 1), paths.attempt(20, "living.1", 1)
    dead.write_bytes(b"half a rec")
    living.write_bytes(b"half a rec")
    for n in range(10):
        report(log, n)
    assert not dead.exists() and living.exists()


def test_a_compaction_that_died_is_made_up_for_by_the_next_committer(paths, log, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(snapshot, "_publish", boom)
        for n in range(20):
            report(log, n)
    assert names(paths.snapshots) == [] and len(names(paths.log)) == 21
    report(log, 20)
    assert names(paths.snapshots) == ["000000000008.json", "000000000016.json"]
    assert numbers(records(paths)) == [("w", n) for n in range(21)]


def boom(*arguments):
    raise OSError(5, "Input/output error")


def test_the_history_read_while_others_compact_has_no_hole(paths, log, monkeypatch):
    for n in range(10):
        report(log, n)
    original, done = snapshot._read_history, []

    def read_then_compact(*arguments):
        yield from original(*arguments)
        if not done:
            done.append(True)
            for n in range(10, 40):
                report(log, n)

    monkeypatch.setattr(snapshot, "_read_history", read_then_compact)
    assert numbers(records(paths)) == [("w", n) for n in range(40)]


def test_garbage_below_the_newest_snapshot_is_not_read_as_history(paths, log):
    for n in range(20):
        report(log, n)
    paths.record(2).write_bytes(paths.record(18).read_bytes())
    assert numbers(records(paths)) == [("w", n) for n in range(20)]


@pytest.mark.parametrize("flip", [1, 255])
def test_a_flip_in_a_segment_is_found_or_changes_nothing(paths, log, flip):
    for n in range(10):
        report(log, n)
    path = paths.segment(0, 7)
    raw, whole = path.read_bytes(), read_segment(paths, 0, 7)
    for position in range(len(raw)):
        broken = bytearray(raw)
        broken[position] ^= flip
        path.write_bytes(broken)
        try:
            assert read_segment(paths, 0, 7) == whole  # bytes of the header that say nothing
        except Damaged as error:
            assert path.name in str(error)


def test_a_missing_segment_is_damage_not_a_shorter_history(paths, log):
    for n in range(20):
        report(log, n)
    paths.segment(0, 7).unlink()
    with pytest.raises(Damaged, match=r"000000000007.jsonl.gz: the segment is missing"):
        records(paths)


def test_a_damaged_snapshot_names_the_file(paths, log):
    for n in range(10):
        report(log, n)
    path = paths.snapshot(8)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Damaged, match=r"000000000008\.json"):
        small_log(paths).refresh()
