"""Snapshots and history: the folded past, published whole under never-reused names."""

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fspop.errors import Damaged
from fspop.paths import RunPaths
from fspop.records import Record, State
from fspop.storage import codec
from fspop.storage.atomic import list_names, publish, read, remove, sync_folder
from fspop.storage.crash import reach
from fspop.storage.fold import fold


def newest_snapshot(paths: RunPaths) -> int:
    """The number of the newest snapshot, 0 where there is none; records below it are history."""
    numbers = (paths.record_seq(name) for name in list_names(paths.snapshots))
    return max((n for n in numbers if n is not None), default=0)


def load_snapshot(paths: RunPaths, seq: int) -> State:
    """The state below `seq` as published; the empty state for 0."""
    if seq == 0:
        return State()
    path = paths.snapshot(seq)
    state = codec.decode(read(path), State, path)
    if state.seq != seq:
        raise Damaged(f"{path}: holds the state below {state.seq}", path=path)
    return state


def follow(state: State, raw: bytes, path: Path) -> tuple[State, Record]:
    """Folds one record's bytes onto the state they must follow; raises Damaged where they do
    not.
    """
    record = codec.decode(raw, Record, path)
    if record.seq != state.seq or record.previous != state.digest:
        raise Damaged(
            f"{path}: does not follow record {state.seq - 1} "
            f"(it quotes {record.previous!r}, the record is {state.digest!r}); run 'fspop status' "
            "on another host: where it works, this client's cache is to blame",
            path=path,
        )
    return fold(state, record, codec.digest(raw)), record


def segment_of(seq: int, size: int) -> tuple[int, int]:
    """(first, last) of the history segment that holds record `seq`."""
    first = seq // size * size
    return first, first + size - 1


def read_segment(paths: RunPaths, first: int, last: int) -> list[bytes]:
    """The bytes of each record in a history segment. Raises Damaged where it does not unpack."""
    path = paths.segment(first, last)
    try:
        lines = gzip.decompress(read(path)).splitlines(keepends=True)
    except (gzip.BadGzipFile, EOFError, ValueError) as error:
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


def compact(
    paths: RunPaths, upto: int, size: int, txn: str, recent: Callable[[int], bytes | None]
) -> None:
    """Publishes segments and snapshots due below `upto`, then removes the records they cover.

    Needs no lock: what it publishes is a function of the records, so a second attempt, or one that
    slept for a day, changes nothing. Dying anywhere in here leaves work for the next committer.
    """
    while True:
        base = newest_snapshot(paths)
        if base + size > upto:
            return
        try:
            state = load_snapshot(paths, base)
            lines = [recent(seq) or read(paths.record(seq)) for seq in range(base, base + size)]
        except FileNotFoundError:
            return  # somebody else compacted meanwhile
        for seq, raw in enumerate(lines, start=base):
            state, _ = follow(state, raw, paths.record(seq))
        reach("compact.read")
        if newest_snapshot(paths) != base:
            continue
        _publish(paths, state, lines, txn)
        _clean(paths, base, state.seq)


def _publish(paths: RunPaths, state: State, lines: list[bytes], txn: str) -> None:
    sync_folder(paths.log)
    segment = paths.segment(state.seq - len(lines), state.seq - 1)
    packed = gzip.compress(b"".join(lines), compresslevel=6, mtime=0)
    if not publish(segment, packed, _temporary(segment, txn)):
        sync_folder(segment.parent)
    reach("compact.segment")
    snapshot = paths.snapshot(state.seq)
    if not publish(snapshot, codec.encode(state), _temporary(snapshot, txn)):
        sync_folder(snapshot.parent)
    reach("compact.snapshot")


def _temporary(path: Path, txn: str) -> Path:
    return path.with_name(f".{path.name}.{txn}.{os.getpid()}.tmp")


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
    """Every record of a run, in order, up to where the log ends for now. Takes no lock."""
    seq = 0
    for name in sorted(list_names(paths.history)):
        segment = paths.segment_range(name)
        if segment is not None and segment[0] == seq:
            path = paths.history / name
            for raw in read_segment(paths, *segment):
                yield codec.decode(raw, Record, path)
            seq = segment[1] + 1
    numbers = (paths.record_seq(name) for name in list_names(paths.log))
    for number in sorted(n for n in numbers if n is not None and n >= seq):
        try:
            yield codec.decode(read(paths.record(number)), Record, paths.record(number))
        except FileNotFoundError:  # compacted since the listing
            yield history_record(paths, number, size)
