"""Files that are whole or absent: exclusive creation, publication by link or rename, and the
fsyncs.
"""

import errno
import os
import stat
from pathlib import Path

from fspop.errors import DiskFull, FspopError, NotWritable, StorageUnavailable

FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
HOPELESS = {*FULL, errno.EROFS}
"""What no restart of a server explains; the others may pass."""


def as_fspop_error(error: OSError, path: Path, doing: str) -> FspopError:
    """The named error for an OSError that will not go away, with what a person can do about it."""
    what = f"{doing} {path}: {error.strerror or error}"
    if error.errno in FULL:
        return DiskFull(
            f"{what} ({_free(path)}); free some space, nothing acknowledged is lost", path=path
        )
    if error.errno in FORBIDDEN:
        return NotWritable(
            f"{what}; check owner, mode and mount options of {path.parent}", path=path
        )
    return StorageUnavailable(f"{what}; check the mount, then try again", path=path)


def _free(path: Path) -> str:
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return "free space unknown"
    return f"{found.f_bavail * found.f_frsize / 1e6:.1f} MB and {found.f_favail} files free"


def list_names(folder: Path) -> list[str]:
    """The names in a folder. On NFS this revalidates the client's cache: always list before
    opening.
    """
    return os.listdir(folder)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Writes everything; near a full disk the kernel takes a part and says so only by the count."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def create(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Creates a file that must not exist and makes its content durable; on an error removes it
    again.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o664)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:
        remove(path)
        raise


class Offer:
    """A new file that others can read at once, and that is durable after `sync`.

    On an error in either it is removed again.
    """

    def __init__(self, path: Path, data: bytes):
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o664)
        try:
            write_all(self._fd, data)
            os.close(os.dup(self._fd))  # closing is what hands the bytes of an NFS client over
        except OSError:
            self.withdraw()
            raise

    def sync(self) -> None:
        """Makes the content durable."""
        try:
            os.fsync(self._fd)
        except OSError:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Removes the temporary name; what was linked meanwhile stays. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        remove(self._path)


def read(path: Path) -> bytes:
    """The bytes of a regular file; a link is refused (ELOOP), and so is a pipe (EINVAL)."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def remove(path: Path) -> None:
    """Removes a file if it is there; a failure is left for the next clean-up."""
    try:
        os.unlink(path)
    except OSError:
        pass


def publish(path: Path, data: bytes, temporary: Path) -> bool:
    """Creates `path` whole and durable. False if the name was taken already; that file is
    untouched.
    """
    create(temporary, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        remove(temporary)
    sync_folder(path.parent)
    return True


def replace(path: Path, data: bytes, temporary: Path, *, sync: bool) -> None:
    """Gives `path` new content at once; readers see the old bytes or the new, never a mix."""
    create(temporary, data, sync=sync)
    try:
        os.rename(temporary, path)
    except OSError:
        remove(temporary)
        raise
    if sync:
        sync_folder(path.parent)
