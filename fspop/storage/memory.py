"""The in-memory twin of the file log: the same records and fold, for tests, simulations and one
process.
"""

import threading
from pathlib import Path

from fspop.records import State
from fspop.storage.base import Build, Committed, Transactions
from fspop.storage.chain import follow, prepare


class MemoryStore:
    """The records several `MemoryLog`s share, as a directory would hold them."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.lock = threading.RLock()


class MemoryLog:
    """A log in memory. Records go through the same encoding and checks as on disk."""

    def __init__(self, store: MemoryStore | None = None):
        self.store = store or MemoryStore()
        self._transactions = Transactions()
        self._state = State()

    def refresh(self) -> State:
        """The newest state."""
        with self.store.lock:
            for raw in self.store.records[self._state.seq :]:
                self._state, _ = follow(self._state, raw, Path(f"memory/{self._state.seq}"))
            return self._state

    def commit(self, worker: str, build: Build) -> Committed:
        """Appends one record; see `Log.commit`."""
        with self.store.lock:
            state = self.refresh()
            ops = build(state)
            if not ops:
                return Committed(state, None)
            path = Path(f"memory/{state.seq}")
            prepared = prepare(state, self._transactions.next(), worker, ops, path)
            self.store.records.append(prepared.raw)
            self._state = prepared.state
            return Committed(prepared.state, prepared.record)
