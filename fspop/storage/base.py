"""What a log of transactions offers, whatever holds it."""

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from fspop.records import FORMAT, AnyOp, Record, State

Build = Callable[[State], Sequence[AnyOp]]


class Committed(NamedTuple):
    """The state after a commit, and the record it wrote (None: there was nothing to say)."""

    state: State
    record: Record | None


class Log(Protocol):
    """A log that many processes append to and fold; one object may be shared by threads."""

    def refresh(self) -> State:
        """The newest state; costs two listings when nothing changed. Takes no lock."""
        ...

    def commit(self, worker: str, build: Build) -> Committed:
        """Appends one record with the operations `build` makes from the newest state; durable on
        return.

        `build` runs under the lock, and again from the then newest state whenever somebody else was
        first; an empty result writes nothing; what it raises passes through, with nothing written.
        """
        ...


class Transactions:
    """Names this process's transactions: `<incarnation>.<count>`, never repeated, also not by a
    forked child: who finds its own name in the log believes that record to be its own.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.incarnation = os.urandom(6).hex()
        self._count = 0

    def next(self) -> str:
        """A name no transaction had before."""
        if self._pid != os.getpid():
            self._begin()
        self._count += 1
        return f"{self.incarnation}.{self._count}"


def next_record(state: State, txn: str, worker: str, ops: Sequence[AnyOp]) -> Record:
    """The record that would follow `state`."""
    return Record(
        format=FORMAT,
        seq=state.seq,
        txn=txn,
        previous=state.digest,
        time=round(time.time(), 3),
        worker=worker,
        ops=list(ops),
    )
