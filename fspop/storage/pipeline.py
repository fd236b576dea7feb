"""Records on their way: offered under the lock, made durable after it, linked in turn.

A flush is what a commit mostly waits for. So a committer gives the lock back as soon as its record
can be read by others, in its temporary; the next one builds on that, and both flush at the same
time. Nothing rests on the offer being kept: a record is linked only onto the record it quotes.
"""

import time

from fspop.errors import FspopError
from fspop.paths import RunPaths
from fspop.records import State
from fspop.storage.atomic import read
from fspop.storage.chain import Prepared, follow
from fspop.storage.reader import LogReader

LEAST_PATIENCE_S = 0.02
"""How long at least the record before may take to appear after one's own is durable."""
MOST_PATIENCE_S = 2.0
"""And at most, however long flushes took: as for the lock, nobody waits for one who may be dead."""
POLL_INTERVAL_S = 0.001


class Pipeline:
    """The offers of other committers, as one process sees them."""

    def __init__(self, paths: RunPaths, reader: LogReader):
        self._paths = paths
        self._reader = reader
        self._broken: set[str] = set()

    def tip(self, state: State) -> State:
        """The state that the offers lead to, where all of them are kept; call it with the lock."""
        self._broken &= set(self._reader.offers)
        for name in self._reader.offers:
            if name in self._broken or self._paths.attempt_seq(name) != state.seq:
                continue
            try:
                raw = read(self._paths.log / name)
                after, record = follow(state, raw, self._paths.log / name)
            except (OSError, FspopError):  # half written, withdrawn, or on another record
                continue
            self._reader.expect(Prepared(raw, record, after))
            state = after
        return state

    def await_turn(self, tip: State, patience_s: float) -> bool:
        """Whether the log came to end where `tip` does.

        False: another record took a place, or an offer was withdrawn or not kept for `patience_s`
        (20 ms to 2 s); then no offer that stands now is followed again.
        """
        patience_s = min(max(patience_s, LEAST_PATIENCE_S), MOST_PATIENCE_S)
        deadline, reached, absent = time.monotonic() + patience_s, -1, 0
        while (state := self._reader.catch_up()).seq < tip.seq:
            now = time.monotonic()
            absent = 0 if self._is_offered(state.seq) else absent + 1
            if state.seq > reached:
                deadline, reached = now + patience_s, state.seq
            elif now > deadline or absent > 1:
                self._broken.update(self._reader.offers)
                return False
            time.sleep(POLL_INTERVAL_S)
        return state.seq == tip.seq and state.digest == tip.digest

    def _is_offered(self, seq: int) -> bool:
        return any(self._paths.attempt_seq(name) == seq for name in self._reader.offers)
