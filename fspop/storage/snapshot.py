"""Snapshots and history: the folded past, published whole under never-reused names."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from fspop.errors import Damaged
from fspop.paths import RunPaths
from fspop.records import Record, State
from fspop.storage import codec
from fspop.storage.atomic import list_names, publish, read, remove, sync_folder
from fspop.storage.chain import follow
from fspop.storage.crash import reach


def newest_record(names: Sequence[str]) -> int:
    """The highest number among the names of records (or snapshots), -1 where there is none.

    Names of one width sort as their numbers do, and temporaries, with their dot, before all digits;
    so one look at the last name is enough unless somebody left a strange file there.
    """
    newest = RunPaths.record_seq(max(names, default=""))
    if newest is not None:
        return newest
    return max((n for n in map(RunPaths.record_seq, names) if n is not None), default=-1)


def read_listed(paths: RunPaths, start: int, names: Sequence[str]) -> list[bytes]:
    """The records from `start` on, up to the first that is not among `names` or is gone again."""
    listed = set(names)
    new: list[bytes] = []
    while (path := paths.record(start + len(new))).name in listed:
        try:
            new.append(read(path))
        except FileNotFoundError:
            break
    return new


def newest_snapshot(paths: RunPaths) -> int:
    """The number of the newest snapshot, 0 where there is none; records below it are history."""
    return max(0, newest_record(list_names(paths.snapshots)))


def load_snapshot(paths: RunPaths, seq: int) -> State:
    """The state below `seq` as published; the empty state for 0."""
    if seq == 0:
        return State()
    path = paths.snapshot(seq)
    state = codec.decode(read(path), State, path)
    if state.seq != seq:
        raise Damaged(f"{path}: holds the state below {state.seq}", path=path)
    return state


def segment_of(seq: int, size: int) -> tuple[int, int]:
    """(first, last) of the history segment that holds record `seq`."""
    first = seq // size * size
    return first, first + size - 1


def read_segment(paths: RunPaths, first: int, last: int) -> list[bytes]:
    """The bytes of each record in a history segment. Raises Damaged where it does not unpack."""
    path = paths.segment(first, last)
    try:
        lines = gzip.decompress(read(path)).splitlines(keepends=True)
    except (gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise Damaged(
            f"{path}: does not unpack ({error}); restore it from a backup", path=path
        ) from error
    if len(lines) != last - first + 1:
        raise Damaged(f"{path}: holds {len(lines)} records", path=path)
    return lines


def history_record(paths: RunPaths, seq: int, size: int) -> Record:
    """Record `seq` as the history tells it. Only for numbers below the newest snapshot."""
    list_names(paths.history)
    first, last = segment_of(seq, size)
    return codec.decode(
        read_segment(paths, first, last)[seq - first], Record, paths.segment(first, last)
    )


class Recent(Protocol):
    """What the caller still has in memory of the records it folded; a short cut, may be empty."""

    def recent(self, seq: int) -> bytes | None:
        """The bytes of a record."""

    def folded(self, seq: int) -> State | None:
        """The state below `seq`."""


def compact(paths: RunPaths, upto: int, size: int, txn: str, memory: Recent) -> None:
    """Publishes segments and snapshots due below `upto`, then removes the records they cover.

    Needs no lock: what it publishes is a function of the records, so a second attempt, or one that
    slept for a day, changes nothing. Dying anywhere in here leaves work for the next committer.
    """
    while True:
        base = newest_snapshot(paths)
        if base + size > upto:
            return
        try:
            numbers = range(base, base + size)
            lines = [memory.recent(seq) or read(paths.record(seq)) for seq in numbers]
            state = memory.folded(base + size) or _fold(paths, base, lines)
        except FileNotFoundError:
            return  # somebody else compacted meanwhile
        if state.digest != codec.digest(lines[-1]):
            return  # a server lost records since; the next commit will notice
        reach("compact.read")
        if newest_snapshot(paths) != base:
            continue
        _publish(paths, state, lines, txn)
        _clean(paths, base, state.seq)


def _fold(paths: RunPaths, base: int, lines: list[bytes]) -> State:
    state = load_snapshot(paths, base)
    for seq, raw in enumerate(lines, start=base):
        state, _ = follow(state, raw, paths.record(seq))
    return state


def _publish(paths: RunPaths, state: State, lines: list[bytes], txn: str) -> None:
    sync_folder(paths.log)
    first = state.seq - len(lines)
    segment = paths.segment(first, state.seq - 1)
    packed = gzip.compress(b"".join(lines), compresslevel=6, mtime=0)
    if not publish(segment, packed, paths.attempt(first, txn, 1)):
        sync_folder(segment.parent)
    reach("compact.segment")
    snapshot = paths.snapshot(state.seq)
    if not publish(snapshot, codec.encode(state), paths.attempt(first, txn, 2)):
        sync_folder(snapshot.parent)
    reach("compact.snapshot")


def _clean(paths: RunPaths, base: int, seq: int) -> None:
    """Removes what the snapshot at `seq` made redundant; keeps the snapshot before it as well."""
    reach("compact.cleaning")
    for name in list_names(paths.log):
        number = paths.record_seq(name)
        if number is None:
            number = paths.attempt_seq(name)
        if number is not None and number < seq:
            remove(paths.log / name)
    for name in list_names(paths.snapshots):
        number = paths.record_seq(name)
        if number is not None and number < base:
            remove(paths.snapshots / name)
    reach("compact.cleaned")


def read_records(paths: RunPaths, size: int) -> Iterator[Record]:
    """Every record of a run, in order, up to where the log ends for now. Takes no lock.

    Raises Damaged where one is missing between others.
    """
    seq = covered = 0
    while True:
        for raw in _read_history(paths, seq, size):
            yield codec.decode(raw, Record, paths.record(seq))
            seq += 1
        if seq < covered:
            path = paths.segment(*segment_of(seq, size))
            raise Damaged(f"{path}: the segment is missing; restore it from a backup", path=path)
        names = list_names(paths.log)
        new = read_listed(paths, seq, names)
        if (covered := newest_snapshot(paths)) > seq:
            continue  # compacted meanwhile: what was read may be garbage, the history is not
        if newest_record(names) >= seq + len(new):
            raise Damaged(f"{paths.log}: record {seq + len(new)} is missing", path=paths.log)
        for raw in new:
            yield codec.decode(raw, Record, paths.record(seq))
            seq += 1
        return


def _read_history(paths: RunPaths, seq: int, size: int) -> Iterator[bytes]:
    """The records from `seq` on as far as the history goes."""
    names = set(list_names(paths.history))
    while paths.segment(*segment_of(seq, size)).name in names:
        first, last = segment_of(seq, size)
        yield from read_segment(paths, first, last)[seq - first :]
        seq = last + 1
