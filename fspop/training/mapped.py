"""A checkpoint's file used as memory for as long as a restore takes, instead of being read into it.

That spares a copy and, what costs more, fresh memory of its size. But another host may delete the
file, and a network filesystem answers a page that is then read for the first time with SIGBUS; so
what outlives the restore is given memory of its own.
"""

import ctypes
import mmap
import os
from typing import Any

from fspop.training.hashed import as_digest, new_hash

_WORTH_BYTES = 1 << 20
_FAILED = ctypes.c_void_p(-1).value
_MOVE_TO = 1 | 2  # MREMAP_MAYMOVE | MREMAP_FIXED

_Range = tuple[int, int]


class MappedFile:
    """A torch archive as memory. `fd` must stay open until `load` is through."""

    def __init__(self, fd: int):
        self._fd = fd
        self._ranges: set[_Range] = set()

    @staticmethod
    def is_worth_it(fd: int) -> bool:
        """Whether the file is large, and the system Linux, whose /proc this needs."""
        return os.fstat(fd).st_size >= _WORTH_BYTES and os.path.exists(_link(fd))

    def digest(self) -> str:
        """The digest of the file, which has its pages in memory."""
        hash_ = new_hash()
        with mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ) as content:
            hash_.update(content)
        return as_digest(hash_)

    def load(self, map_location: Any) -> Any:
        """The object in the archive, its tensors in private pages of the file."""
        import torch

        path, before = os.readlink(_link(self._fd)), _private_ranges()
        loaded = torch.load(
            _link(self._fd), map_location=map_location, weights_only=True, mmap=True
        )
        found = _private_ranges()
        self._ranges = {r for r, name in found.items() if name == path and r not in before}
        return loaded

    def settle(self) -> None:
        """Puts memory of its own, with the same content, in place of what is still in use.

        No thread may write to these tensors meanwhile.
        """
        for begin, end in self._ranges & _private_ranges().keys():
            _replace(begin, end - begin)
        self._ranges.clear()


def _replace(address: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    place, length = ctypes.c_void_p(address), ctypes.c_size_t(size)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    fresh = libc.mmap(None, length, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, ctypes.c_long(0))
    if fresh != _FAILED:
        ctypes.memmove(fresh, address, size)
        moved = libc.mremap(ctypes.c_void_p(fresh), length, length, _MOVE_TO, place)
        if moved == address:
            return
    raise MemoryError(f"{size} bytes: {os.strerror(ctypes.get_errno())}")


def _link(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _private_ranges() -> dict[_Range, str]:
    """The writable private memory of this process that comes from files, and from which."""
    found = {}
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            place, mode, _, _, _, *name = line.rstrip("\n").split(maxsplit=5)
            if mode.startswith("rw-p") and name and name[0].startswith("/"):
                begin, _, end = place.partition("-")
                found[int(begin, 16), int(end, 16)] = name[0]
    return found
