"""Durable writing: small files replaced whole, folders fsynced, errors that say what they mean."""

import contextlib
import errno
import os
from pathlib import Path

from fspop.errors import DiskFull, FspopError, NotARun, NotWritable, StorageUnavailable
from fspop.training.hashed import HashedFile

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def make_folder(folder: Path) -> None:
    """Makes `folder`, durably; the one above it must exist."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    fsync_folder(folder.parent)  # also when it exists: its maker may have died before this


def replace_file(path: Path, data: bytes) -> None:
    """Writes a small file durably; a reader sees the old content or the new, never half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            HashedFile(fd).write(data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(partial, path)
        fsync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_error(error, path) from error


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
