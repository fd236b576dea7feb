"""Durable writing of one large file: whole writes with a digest, folder fsyncs, named errors."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

from fspop.errors import DiskFull, FspopError, NotARun, NotWritable, StorageUnavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class HashedFile:
    """A descriptor that writes all it is given, or raises, and knows the sha256 of what it wrote.

    `error` keeps the OSError of a failed write, for callers behind a library that hides it.
    """

    def __init__(self, fd: int):
        self.fd = fd
        self.size_bytes = 0
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes all of `data`; a single write near the end of the space is cut short silently."""
        view = memoryview(data).cast("B")
        self.sha256.update(view)
        self.size_bytes += len(view)
        try:
            self._write_all(view)
        except OSError as error:
            self.error = error
            raise
        return len(view)

    def _write_all(self, view: memoryview) -> None:
        while view:
            written = os.write(self.fd, view)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]

    def flush(self) -> None:
        """Nothing is buffered."""


def make_folder(folder: Path) -> None:
    """Makes `folder`, durably; the one above it must exist."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    fsync_folder(folder.parent)  # also when it exists: its maker may have died before this


def fsync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_error(error: OSError, path: Path) -> FspopError:
    """What an OSError while writing `path` means to a person."""
    what = f"writing {path}: {error.strerror or error}"
    if error.errno in _FULL:
        free = _free_bytes(path.parent)
        known = "free space unknown" if free is None else f"{free / 1e6:.1f} MB free there"
        return DiskFull(
            f"{what} ({known}); free some space or raise the quota, the last checkpoint is intact",
            path=str(path),
            free_bytes=free,
        )
    if error.errno in _REFUSED:
        return NotWritable(f"{what}; check owner, mode and mount options", path=str(path))
    if error.errno == errno.ENOENT:
        return NotARun(
            f"{what}: {path.parent.parent} is gone; was the run deleted, or is its mount missing?",
            path=str(path),
        )
    return StorageUnavailable(f"{what}; check the mount, then try again", path=str(path))


def _free_bytes(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
