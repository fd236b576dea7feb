"""Large memory copied quickly, whatever number of threads torch may use."""

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_PIECE_BYTES = 2 << 20
_MAX_THREADS = 4  # one alone does not use all of a server's memory bandwidth, four nearly do

_Piece = tuple[int, int, int]  # to, from, bytes


def copy_memory(pairs: Iterable[tuple[Any, Any]]) -> None:
    """Copies each second storage into the first, of the same size; both are in host memory."""
    pieces = [piece for to, source in pairs for piece in _pieces(to, source)]
    left = iter(pieces)  # shared: who is held up takes fewer
    helpers = min(_MAX_THREADS, _usable_cpus(), len(pieces) // 8) - 1
    if helpers < 1:
        return _copy(left)
    with ThreadPoolExecutor(helpers, "fspop-copy") as pool:
        copying = [pool.submit(_copy, left) for _ in range(helpers)]
        _copy(left)
    for each in copying:
        each.result()


def _pieces(to: Any, source: Any) -> Iterator[_Piece]:
    for begin in range(0, source.nbytes(), _PIECE_BYTES):
        size_bytes = min(_PIECE_BYTES, source.nbytes() - begin)
        yield to.data_ptr() + begin, source.data_ptr() + begin, size_bytes


def _copy(pieces: Iterator[_Piece]) -> None:
    for piece in pieces:
        ctypes.memmove(*piece)  # lets other threads of Python run


def _usable_cpus() -> int:
    with contextlib.suppress(AttributeError):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
