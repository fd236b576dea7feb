"""One record after another: what may follow a state, and making it. No I/O."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fspop.errors import Damaged, FspopError, UnknownFormat
from fspop.records import AnyOp, Record, State
from fspop.storage import codec
from fspop.storage.base import next_record
from fspop.storage.fold import fold


class Prepared(NamedTuple):
    """A record that may be written: its bytes, how it reads back, and the state it leads to."""

    raw: bytes
    record: Record
    state: State


def follow(state: State, raw: bytes, path: Path) -> tuple[State, Record]:
    """Folds one record's bytes onto the state they must follow; raises Damaged where they do
    not.
    """
    record = codec.decode(raw, Record, path)
    if record.seq != state.seq or record.previous != state.digest:
        raise Damaged(
            f"{path}: does not follow record {state.seq - 1} "
            f"(it quotes {record.previous!r}, the record is {state.digest!r}); look at the run "
            "from another host: where that works, this client's cache is to blame",
            path=path,
        )
    return fold(state, record, codec.digest(raw)), record


def prepare(state: State, txn: str, worker: str, ops: Sequence[AnyOp], path: Path) -> Prepared:
    """The record that would follow `state`, read back and folded as everybody else will.

    What does not survive this would make the run unreadable for all, so it is refused here, with a
    FspopError and before anything is written: encoding checks no types.
    """
    try:
        raw = codec.encode(next_record(state, txn, worker, ops))
        after, record = follow(state, raw, path)
    except (Damaged, UnknownFormat, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FspopError(
            f"a transaction of worker {worker} does not read back and was not written: {error}"
        ) from error
    return Prepared(raw, record, after)
