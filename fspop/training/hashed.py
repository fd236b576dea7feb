"""Files whose digest is computed on the way, from the bytes that are written or read anyway.

The digest is XXH3 of 128 bits: it is there to find damage, not forgery (who can write a run's
checkpoints can write its log too), and takes a tenth of sha256's time, which by itself costs more
than reading the file. `xxhsum -H128 FILE` gives the same.
"""

import contextlib
import errno
import io
import os
from typing import Any

import xxhash

_CHUNK_BYTES = 1 << 18  # hashed while the processor's cache still holds it
_GAP_BYTES = 1 << 16
_FLUSH_BYTES = 8 << 20


def new_hash() -> Any:
    """The hash object behind every digest of a checkpoint."""
    return xxhash.xxh3_128()


def as_digest(hash_: Any) -> str:
    """The digest as records hold it; its algorithm is part of it."""
    return f"xxh128:{hash_.hexdigest()}"


class HashedFile:
    """A descriptor that writes all it is given, or raises, and knows the digest of what it wrote.

    `error` keeps the OSError of a failed write, for callers behind a library that hides it.
    """

    def __init__(self, fd: int):
        self.fd = fd
        self.size_bytes = 0
        self.error: OSError | None = None
        self._hash = new_hash()
        self._flushed = 0

    @property
    def digest(self) -> str:
        """Of everything written so far."""
        return as_digest(self._hash)

    def write(self, data: Any, /) -> int:
        """Writes all of `data`; a single write near the end of the space is cut short silently."""
        view = memoryview(data).cast("B")
        try:
            self._write_all(view)
        except OSError as error:
            self.error = error
            raise
        return len(view)

    def _write_all(self, view: memoryview) -> None:
        while view:
            written = os.write(self.fd, view[:_CHUNK_BYTES])
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._hash.update(view[:written])
            self.size_bytes += written
            view = view[written:]
            if self.size_bytes - self._flushed >= _FLUSH_BYTES:
                self._begin_flush()

    def _begin_flush(self) -> None:
        """Has the system write out what it was given, so that fsync finds little left to do.

        For pages that are not written out yet, Linux takes "not needed" to mean just that.
        """
        begin, self._flushed = self._flushed, self.size_bytes
        with contextlib.suppress(AttributeError, OSError):  # not on macOS
            size = self.size_bytes - begin
            os.posix_fadvise(self.fd, begin, size, os.POSIX_FADV_DONTNEED)

    def flush(self) -> None:
        """Nothing is buffered."""


class HashedReader(io.RawIOBase):
    """Reads an open file, and tells the digest of the whole of it.

    A file read from front to back is read once, and the bytes that were used are the bytes that
    were hashed. Small gaps are read to be hashed; whatever else was left out, `digest` reads.
    """

    def __init__(self, fd: int):
        self._fd = fd
        self._position = 0
        self._hash = new_hash()
        self._hashed = 0
        """How far the digest has come: the bytes below this are in it."""

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor; its own position is not used."""
        return self._fd

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Where the next read begins."""
        base = (0, self._position, os.fstat(self._fd).st_size)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def readall(self) -> bytes:
        """Everything from here on, in one piece."""
        return self.read(max(0, os.fstat(self._fd).st_size - self._position)) or b""

    def readinto(self, buffer: Any, /) -> int:
        """Fills `buffer`, as far as the file goes."""
        if 0 < self._position - self._hashed <= _GAP_BYTES:
            self._read_up_to(self._position)
        done, view = 0, memoryview(buffer).cast("B")
        while n := os.preadv(self._fd, [view[done : done + _CHUNK_BYTES]], self._position):
            self._take(view[done : done + n])
            done += n
        return done

    def digest(self) -> str:
        """The digest of the file; reads on to its end where the reading has not."""
        self._read_up_to(None)
        return as_digest(self._hash)

    def _take(self, data: memoryview) -> None:
        begin, self._position = self._position, self._position + len(data)
        if begin <= self._hashed < self._position:
            self._hash.update(data[self._hashed - begin :])
            self._hashed = self._position

    def _read_up_to(self, end: int | None) -> None:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        while end is None or self._hashed < end:
            left = _CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - self._hashed)
            n = os.preadv(self._fd, [buffer[:left]], self._hashed)
            if n == 0:
                return
            self._hash.update(buffer[:n])
            self._hashed += n
