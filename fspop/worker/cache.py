"""A host's own copies of checkpoints: a parent that several members start from is fetched once."""

import contextlib
import fcntl
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fspop.errors import FspopError, InvalidSetting, NotWritable
from fspop.storage.crash import reach
from fspop.training.checkpoint import copy_checkpoint, mapped_checkpoint

log = logging.getLogger("fspop.worker")

DEFAULT_GB = 20.0
MOST_GB = 1e9
WORTH_BYTES = 1 << 20
_COPY = re.compile(r"[a-z0-9]+-[0-9a-f]+\Z")
_PART = re.compile(r"\.[a-z0-9]+-[0-9a-f]+\.([0-9]+)\.[0-9a-f]{16}\.part\Z")


class _Copy(NamedTuple):
    used_at: float
    size_bytes: int
    path: Path


class CheckpointCache:
    """Copies of checkpoint folders in `folder`, at most `limit_gb` GB of them, the last used ones.

    The folder is on a local disk and of one user; all workers of a host may share it, also those of
    different runs. A copy is named by its digest, which is compared at every use, so one that is
    damaged or half written (a power cut) is dropped. Nobody ever waits here for another worker, and
    whatever goes wrong, the checkpoint is read where it was written. A process that dies in here
    leaves a part, which the next worker that copies something removes.
    """

    def __init__(self, folder: Path, limit_gb: float = DEFAULT_GB):
        if not 0 < limit_gb <= MOST_GB:
            raise InvalidSetting(
                f"cache: got a limit of {limit_gb!r} GB; it must be above 0 and at most {MOST_GB:g}"
            )
        self.folder, self.limit_bytes = folder, int(limit_gb * 1e9)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock():
                pass
        except OSError as error:
            raise NotWritable(
                f"cache: {folder} cannot be used ({error.strerror}); give a folder on a local disk "
                "that this user may write to, or leave --cache out",
                path=str(folder),
            ) from error

    @contextlib.contextmanager
    def opened(
        self, folder: Path, digest: str, size_bytes: int, map_location: Any, *ranks: Any
    ) -> Iterator[dict[str, Any]]:
        """As `mapped_checkpoint(folder, digest, map_location, *ranks)`, from the copy here where
        possible; else a copy is made first.
        """
        with contextlib.ExitStack() as stack:
            yield self._enter(stack, folder, digest, size_bytes, map_location, *ranks)

    def _enter(
        self,
        stack: contextlib.ExitStack,
        folder: Path,
        digest: str,
        size_bytes: int,
        *how: Any,
    ) -> dict[str, Any]:
        copy = self.folder / digest.replace(":", "-")
        if digest and size_bytes >= WORTH_BYTES and self._has(copy, folder, digest, size_bytes):
            try:
                return stack.enter_context(mapped_checkpoint(copy, digest, *how))
            except FspopError as error:
                log.warning("the copy is dropped: %s", error)
                shutil.rmtree(copy, ignore_errors=True)
        return stack.enter_context(mapped_checkpoint(folder, digest or None, *how))

    def _has(self, copy: Path, folder: Path, digest: str, size_bytes: int) -> bool:
        """Whether the copy is there, perhaps only now."""
        try:
            if copy.is_dir():
                os.utime(copy)
                return True
            return self._fill(copy, folder, digest, size_bytes)
        except (FspopError, OSError) as error:
            log.warning("no copy of %s is kept in %s: %s", folder.name, self.folder, error)
            return False

    def _fill(self, copy: Path, folder: Path, digest: str, size_bytes: int) -> bool:
        part = self.folder / f".{copy.name}.{size_bytes}.{secrets.token_hex(8)}.part"
        with contextlib.ExitStack() as stack:
            with self._lock() as mine:
                if not mine or not self._make_room(size_bytes):
                    return False
                part.mkdir()
                stack.callback(shutil.rmtree, part, ignore_errors=True)
                stack.enter_context(_held(part))
            copy_checkpoint(folder, part, digest)
            reach("cache.copied")
            with contextlib.suppress(OSError):  # another worker has just put the same there
                part.rename(copy)
        return True

    def _make_room(self, size_bytes: int) -> bool:
        """Removes what dead workers left, then copies, the longest unused first, until it fits."""
        parts = [self.folder / n for n in os.listdir(self.folder) if _PART.match(n)]
        taken = size_bytes + sum(map(_size_if_alive, parts))
        copies = sorted(self._copies())
        taken += sum(copy.size_bytes for copy in copies)
        if size_bytes > self.limit_bytes:
            return False
        while taken > self.limit_bytes and copies:
            taken -= copies[0].size_bytes
            shutil.rmtree(copies.pop(0).path)  # who has it mapped keeps what it has
        return taken <= self.limit_bytes

    def _copies(self) -> Iterator[_Copy]:
        for path in (self.folder / n for n in os.listdir(self.folder) if _COPY.match(n)):
            with contextlib.suppress(FileNotFoundError):  # dropped by another worker
                size_bytes = sum(file.stat().st_size for file in path.iterdir())
                yield _Copy(path.stat().st_mtime, size_bytes, path)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether nobody else changes the cache meanwhile; does not wait for it."""
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _is_mine(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _held(part: Path) -> Iterator[None]:
    """Shows that the worker which fills this part is alive; the kernel ends it with the process."""
    fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _size_if_alive(part: Path) -> int:
    """What this part will take; 0, and it is removed, where nobody fills it any more."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _is_mine(fd):
                return int(part.name.split(".")[-3])
        finally:
            os.close(fd)
        shutil.rmtree(part, ignore_errors=True)
    return 0


def _is_mine(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
