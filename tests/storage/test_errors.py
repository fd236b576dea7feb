"""A filesystem that fails at any one call, before or after doing what it was asked to.

The second kind is the treacherous one: a lost reply. Whatever fails, a commit that returns is in
the log exactly once, and one that raises is there at most once.
"""

import errno
import os
import threading
import time

import pytest

from fspop.errors import Damaged, DiskFull, NotWritable, StorageUnavailable
from fspop.storage.lock import CommitLock
from fspop.storage.snapshot import read_records
from tests.storage.stores import begin, make_paths, numbers, report, small_log

CALLS = ("open", "link", "unlink", "fsync", "listdir", "write")


class Flaky:
    """Makes the `at`-th of the calls in CALLS fail once, or from there on."""

    def __init__(self, monkeypatch, at, number, *, late, lasting=False):
        self.at, self.number, self.late, self.lasting = at, number, late, lasting
        self.calls = 0
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, original):
        def call(*arguments, **settings):
            self.calls += 1
            fails = self.calls >= self.at if self.lasting else self.calls == self.at
            if fails and not self.late:
                raise self.error(arguments)
            result = original(*arguments, **settings)
            if fails and not isinstance(result, int):
                raise self.error(arguments)
            return result

        return call

    def error(self, arguments):
        return OSError(self.number, os.strerror(self.number), str(arguments[0]))


def scenario(paths):
    """Commits across two compactions, with others in between."""
    log, other = small_log(paths), small_log(paths)
    for n in range(5):
        report(log, n)
    for n in range(5, 12):
        report(other, n)
    for n in range(12, 20):
        report(log, n)
    return log


def count_calls(root, monkeypatch):
    paths = make_paths(root / "counted")
    begin(small_log(paths))
    with monkeypatch.context() as context:
        flaky = Flaky(context, 10**9, errno.EIO, late=False)
        scenario(paths)
    return flaky.calls


def check_failing_calls(tmp_path, monkeypatch, late, number, stride):
    for at in range(1, count_calls(tmp_path, monkeypatch) + 1, stride):
        paths = make_paths(tmp_path / str(at))
        begin(small_log(paths))
        with monkeypatch.context() as context:
            Flaky(context, at, number, late=late)
            log = scenario(paths)
        assert numbers(read_records(paths, 8)) == [("w", n) for n in range(20)], f"call {at}"
        assert small_log(paths).refresh() == log.refresh()


@pytest.mark.parametrize("late", [False, True], ids=["refused", "reply-lost"])
def test_a_failing_call_loses_nothing_and_doubles_nothing(tmp_path, monkeypatch, late):
    check_failing_calls(tmp_path, monkeypatch, late, errno.ESTALE, 13)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("late", [False, True], ids=["refused", "reply-lost"])
def test_a_failing_call_at_any_place_loses_nothing(tmp_path, monkeypatch, late):
    check_failing_calls(tmp_path, monkeypatch, late, errno.EIO, 1)


def test_a_reply_lost_while_others_compacted_is_found_in_the_history(paths, log, monkeypatch):
    """My record is linked, the reply is lost, and before I look again it has become history."""
    original = os.link

    def link(source, target):
        original(source, target)
        monkeypatch.setattr(os, "link", original)
        for n in range(100, 130):
            report(small_log(paths, use_lock=False), n, "other")
        raise OSError(errno.EIO, "lost", str(target))

    monkeypatch.setattr(os, "link", link)
    committed = report(log, 1)
    assert committed.record.seq == 1
    assert numbers(read_records(paths, 8)).count(("w", 1)) == 1


def test_that_holds_if_the_history_cannot_be_read_at_first(paths, log, monkeypatch):
    from fspop.storage import reader

    original, link = reader.history_record, os.link

    def failing(*arguments):
        monkeypatch.setattr(reader, "history_record", original)
        raise OSError(errno.EIO, "not now", "history")

    def lost(source, target):
        link(source, target)
        monkeypatch.setattr(os, "link", link)
        for n in range(100, 130):
            report(small_log(paths, use_lock=False), n, "other")
        monkeypatch.setattr(reader, "history_record", failing)
        raise OSError(errno.EIO, "lost", str(target))

    monkeypatch.setattr(os, "link", lost)
    report(log, 1)
    assert numbers(read_records(paths, 8)).count(("w", 1)) == 1


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, NotWritable),
        (errno.EIO, StorageUnavailable),
    ],
)
def test_an_error_that_stays_gets_its_name_and_names_the_path(
    paths, log, monkeypatch, number, error
):
    hasty = small_log(paths, patience_s=0.05)
    with monkeypatch.context() as context:
        Flaky(context, 1, number, late=False, lasting=True)
        with pytest.raises(error, match=str(paths.root)):
            report(hasty, 1)
    assert log.refresh().seq == 1
    assert report(hasty, 2).record.seq == 1


def test_a_short_write_is_completed(paths, log, monkeypatch):
    original = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: original(fd, data[:7]))
    report(log, 1)
    assert small_log(paths).refresh() == log.refresh()


def test_a_process_that_was_stopped_for_longer_than_the_patience_still_retries(
    paths, log, monkeypatch
):
    late = small_log(paths, patience_s=0.0)
    with monkeypatch.context() as context:
        Flaky(context, 4, errno.ESTALE, late=False)
        assert report(late, 1).record.seq == 1


def test_its_temporary_cleaned_away_under_it_a_stopped_process_begins_again(
    paths, log, monkeypatch
):
    original = os.link

    def link(source, target):
        monkeypatch.setattr(os, "link", original)
        for n in range(100, 120):
            report(small_log(paths, use_lock=False), n, "other")
        assert not source.exists()
        original(source, target)

    monkeypatch.setattr(os, "link", link)
    assert report(log, 1).record.seq == 21


def test_a_name_that_was_freed_while_a_process_slept_is_no_commit(paths, log, monkeypatch):
    """It linked its record to a name below the newest snapshot: that one must not count."""
    original = os.link

    def link(source, target):
        monkeypatch.setattr(os, "link", original)
        kept = source.read_bytes()
        for n in range(100, 120):
            report(small_log(paths, use_lock=False), n, "other")
        source.write_bytes(kept)
        original(source, target)

    monkeypatch.setattr(os, "link", link)
    assert report(log, 1).record.seq == 21
    found = numbers(read_records(paths, 8))
    assert found == [*(("other", n) for n in range(100, 120)), ("w", 1)]


def test_no_link_count_of_a_forked_child_is_taken_for_the_parents(paths, log):
    """A child inherits the transaction counter; its names must still be its own."""
    report(log, 1)
    pid = os.fork()
    if pid == 0:
        try:
            report(log, 2, "child")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    report(log, 3)
    records = list(read_records(paths, 8))
    assert numbers(records) == [("w", 1), ("child", 2), ("w", 3)]
    assert len({record.txn for record in records}) == len(records)


def test_damage_is_not_retried_for_half_a_minute(paths, log, monkeypatch):
    from fspop.storage import reader

    monkeypatch.setattr(reader.time, "sleep", lambda s: None)
    paths.record(0).write_bytes(b"{}\n")
    with pytest.raises(Damaged):
        small_log(paths, patience_s=60.0).refresh()


def test_a_lost_reply_is_recognised_while_waiting_for_the_lock(paths, log, monkeypatch):
    """Reading on while somebody else holds the lock must not pass one's own record unnoticed."""
    original, holder = os.link, CommitLock(paths.lock)

    def link(source, target):
        monkeypatch.setattr(os, "link", original)
        original(source, target)
        threading.Thread(target=hold_for_a_moment, args=[holder]).start()
        raise OSError(errno.EIO, "lost", str(target))

    monkeypatch.setattr(os, "link", link)
    report(log, 1)
    assert numbers(read_records(paths, 8)) == [("w", 1)]


def hold_for_a_moment(lock):
    assert lock.acquire()
    time.sleep(0.1)
    lock.release()
