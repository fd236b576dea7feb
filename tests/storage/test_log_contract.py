"""What every log does, whatever holds it."""

import threading

import pytest

from fspop.errors import Damaged, FspopError
from fspop.records import Born, Reported
from fspop.storage import FileLog, MemoryLog, MemoryStore
from tests.storage.stores import FIRST, begin, make_paths, report


class LogContract:
    """Subclasses say how to open another log on the same store."""

    @pytest.fixture
    def opener(self, tmp_path):
        raise RuntimeError("a subclass gives this")

    @pytest.fixture
    def log(self, opener):
        log = opener()
        begin(log)
        return log

    def test_a_new_log_holds_nothing(self, opener):
        state = opener().refresh()
        assert (state.seq, state.members, state.digest) == (0, [], "")

    def test_a_commit_is_in_the_state_it_returns(self, log):
        committed = report(log, 5)
        assert committed.state.members[0].generation.step == 5
        assert committed.record.seq == 1 and committed.state.seq == 2
        assert log.refresh() == committed.state

    def test_another_log_on_the_same_store_sees_it(self, log, opener):
        committed = report(log, 5)
        assert opener().refresh() == committed.state

    def test_numbers_are_contiguous_and_the_chain_is_quoted(self, log, opener):
        other = opener()
        states = [report(each, n).state for n, each in enumerate([log, other, other, log], 1)]
        assert [state.seq for state in states] == [2, 3, 4, 5]
        assert len({state.digest for state in states}) == 4

    def test_build_sees_what_others_committed(self, log, opener):
        report(opener(), 7)
        seen = []
        log.commit("w", lambda state: seen.append(state.members[0].generation.step) or [])
        assert seen == [7]

    def test_no_operations_write_nothing(self, log, opener):
        before = log.refresh()
        committed = log.commit("w", lambda state: [])
        assert committed.record is None and committed.state == before
        assert opener().refresh() == before

    @pytest.mark.parametrize("error", [ValueError("x"), OSError(5, "x"), FileNotFoundError("y")])
    def test_what_build_raises_passes_at_once_and_leaves_nothing(self, log, opener, error):
        def build(state):
            calls.append(state)
            raise error

        calls, before = [], log.refresh()
        with pytest.raises(type(error)) as raised:
            log.commit("w", build)
        assert raised.value is error and len(calls) == 1
        assert opener().refresh() == before
        assert report(log, 1).state.seq == before.seq + 1

    def test_build_may_read_the_log(self, log):
        op = Reported(FIRST, 3, value=1.0)
        assert log.commit("w", lambda state: [op] * (log.refresh() == state)).record is not None

    def test_what_would_not_read_back_is_refused_and_not_written(self, log, opener):
        before = log.refresh()
        wrong = [
            Reported(FIRST, 1.5),
            Reported(FIRST, None),
            Reported("m007.g0001", 1),
            Born(9, 1, 0.1),
            Reported(FIRST, 1, metrics={"x": object()}),
            Reported(FIRST, 1, metrics={"x": "\ud800"}),
            "no operation",
        ]
        for op in wrong:
            with pytest.raises(FspopError, match="worker w does not read back and was not written"):
                log.commit("w", lambda state, op=op: [op])
        assert opener().refresh() == before

    def test_that_refusal_is_no_claim_of_damage(self, log):
        with pytest.raises(FspopError) as raised:
            log.commit("w", lambda state: [Reported(FIRST, 1.5)])
        assert not isinstance(raised.value, Damaged)

    def test_threads_may_share_a_log(self, log, opener):
        threads = [
            threading.Thread(target=lambda i=i: [report(log, n, f"t{i}") for n in range(20)])
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.refresh().seq == 81 and opener().refresh() == log.refresh()

    def test_threads_may_have_a_log_each(self, log, opener):
        logs = [opener() for _ in range(4)]
        threads = [
            threading.Thread(target=lambda each=each: [report(each, n) for n in range(20)])
            for each in logs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.refresh().seq == 81
        assert all(each.refresh() == log.refresh() for each in logs)

    def test_folded_states_are_never_modified(self, log):
        first = log.refresh()
        copy = repr(first)
        for n in range(12):
            report(log, n)
        assert repr(first) == copy


class TestFileLog(LogContract):
    @pytest.fixture
    def opener(self, tmp_path):
        paths = make_paths(tmp_path)
        return lambda: FileLog(paths, 8)


class TestFileLogThatPipelines(LogContract):
    @pytest.fixture
    def opener(self, tmp_path):
        paths = make_paths(tmp_path)
        return lambda: FileLog(paths, 8, pipelined_above_s=-1.0)


class TestFileLogWithoutLock(LogContract):
    @pytest.fixture
    def opener(self, tmp_path):
        paths = make_paths(tmp_path)
        return lambda: FileLog(paths, 8, use_lock=False)


class TestMemoryLog(LogContract):
    @pytest.fixture
    def opener(self):
        store = MemoryStore()
        return lambda: MemoryLog(store)
