"""One process's view of the log: listing, reading and folding, safe without any lock.

Reading follows one rule: list the log, read the bytes, then list the snapshots. Bytes below the
newest snapshot are garbage: a name that compaction freed, taken again by a process that slept.
"""

import time
from pathlib import Path

from fspop.errors import Damaged, NotARun
from fspop.paths import RunPaths
from fspop.records import Record, State
from fspop.storage import codec
from fspop.storage.atomic import list_names, read
from fspop.storage.chain import Prepared, follow
from fspop.storage.snapshot import (
    history_record,
    load_snapshot,
    newest_record,
    newest_snapshot,
    read_listed,
)

FRESH_LISTINGS = 5
"""So many listings in a row must show the same gap before it counts as damage."""


class _Gap(Exception):
    """A listing shows a record whose predecessor it does not show, or that cannot be opened."""

    def __init__(self, seq: int):
        super().__init__(seq)
        self.seq = seq


class Attempts:
    """The tries of one commit: all share a transaction's name, each has a temporary of its own.

    `found` is the transaction's record as soon as reading came across it: from then on the commit
    only has to be made durable, whatever happens in between.
    """

    def __init__(self, txn: str):
        self.txn = txn
        self.seq: int | None = None
        self.count = 0
        self.found: Record | None = None

    def begin(self, seq: int) -> int:
        """The number of the attempt at record `seq` that begins now."""
        self.seq = seq
        self.count += 1
        return self.count

    def note(self, record: Record) -> None:
        """A genuine record was read; is it this transaction's?"""
        if record.txn == self.txn:
            self.found = record


class LogReader:
    """The newest state and the bytes of recent records. Not for two threads at once.

    `offers` are the temporaries of the last listing for numbers that were not taken yet, in order.
    `attempts` is the commit under way: whoever reads on while it lasts must not pass its record
    without noticing.
    """

    def __init__(self, paths: RunPaths, records_per_segment: int):
        self._paths = paths
        self._size = records_per_segment
        self._recent: dict[int, bytes] = {}
        self._folded: dict[int, State] = {}
        self._expected: dict[int, Prepared] = {}
        self.offers: list[str] = []
        self.state = State()
        self.snapshot = 0
        self.attempts: Attempts | None = None

    def recent(self, seq: int) -> bytes | None:
        """The bytes of a record that was folded lately, None for others."""
        return self._recent.get(seq)

    def folded(self, seq: int) -> State | None:
        """The state below `seq`, where that is the end of a segment that was folded lately."""
        return self._folded.get(seq)

    def forget(self) -> None:
        """Begins again from what the directory holds now."""
        self._begin(State())

    def _begin(self, state: State) -> None:
        self.state = state
        self._recent.clear()
        self._folded.clear()
        self._expected.clear()

    def advance(self, state: State, raw: bytes) -> None:
        """Goes on to `state`, which folding the genuine record `raw` gave."""
        self._recent[self.state.seq] = raw
        self._recent.pop(self.state.seq - 2 * self._size, None)
        self.state = state
        if state.seq % self._size == 0:
            self._folded[state.seq] = state
            self._folded.pop(state.seq - 2 * self._size, None)

    def catch_up(self) -> State:
        """Folds what is new. Raises NotARun, or Damaged for what stays wrong over five listings
        during which nobody compacted.
        """
        listing, trouble = 0, None
        while listing < FRESH_LISTINGS:
            if listing:
                time.sleep(0.002 * 4**listing)
            snapshot = self.snapshot
            try:
                self._catch_up_once()
                return self.state
            except FileNotFoundError as error:
                self._check_still_there(error)  # else: a snapshot replaced since the listing
            except _Gap as gap:
                trouble = self._missing(gap.seq)
            except Damaged as error:
                self.forget()
                trouble = error
            listing = listing + 1 if self.snapshot <= snapshot else 1
        raise trouble or self._missing(self.state.seq)

    def _catch_up_once(self) -> None:
        """One listing's worth. Raises _Gap, FileNotFoundError or Damaged, all worth another
        listing.
        """
        start = self.state.seq
        names = list_names(self._paths.log)
        last = newest_record(names)
        self.offers = sorted(n for n in names if (self._paths.attempt_seq(n) or -1) > last)
        new = read_listed(self._paths, start, names) if last >= start else []
        self.snapshot = newest_snapshot(self._paths)
        if self.snapshot > start:
            return self._jump()
        if last >= start + len(new):
            raise _Gap(start + len(new))
        if last < start - 1 and self.snapshot < start:
            self.forget()  # the server lost what it had promised
            return self._catch_up_once()
        self._fold(new)

    def _jump(self) -> None:
        """Goes on from the newest snapshot; an attempt below it is in the history or was never a
        record.
        """
        state = load_snapshot(self._paths, self.snapshot)
        mine = self.attempts
        if mine and mine.seq is not None and mine.seq < self.snapshot:
            mine.note(history_record(self._paths, mine.seq, self._size))
        self._begin(state)
        self._catch_up_once()

    def _fold(self, new: list[bytes]) -> None:
        for raw in new:
            state, record = self._follow(raw)
            self.advance(state, raw)
            if self.attempts:
                self.attempts.note(record)

    def _follow(self, raw: bytes) -> tuple[State, Record]:
        """Folds the next record's bytes, unless that was done when they were only offered."""
        expected = self._expected.pop(self.state.seq, None)
        if expected and expected.raw == raw and expected.record.previous == self.state.digest:
            return expected.state, expected.record
        return follow(self.state, raw, self._paths.record(self.state.seq))

    def expect(self, offered: Prepared) -> None:
        """Remembers what a record leads to that somebody else is about to link."""
        self._expected[offered.record.seq] = offered

    def tail_stands(self) -> bool:
        """Whether the last record is still the one that was folded; a server may have lost it."""
        if self.state.seq <= self.snapshot or self.state.seq == 0:
            return True
        return codec.digest(read(self._paths.record(self.state.seq - 1))) == self.state.digest

    def _check_still_there(self, error: FileNotFoundError) -> None:
        folders = (self._paths.log, self._paths.snapshots)
        if error.filename and Path(error.filename) in folders:
            raise NotARun(
                f"{self._paths.root}: the run directory is gone; nothing was created in its place",
                path=self._paths.root,
            ) from error

    def _missing(self, seq: int) -> Damaged:
        return Damaged(
            f"{self._paths.log}: record {seq} is missing though later ones exist; "
            "restore the folder from a backup (nothing was changed)",
            path=self._paths.log,
        )
