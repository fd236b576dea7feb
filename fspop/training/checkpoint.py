"""Checkpoint folders: each is complete under its name or absent, and is verified before use."""

import contextlib
import errno
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from fspop.errors import Damaged, FspopError, StorageUnavailable, TaskError
from fspop.training import state_file
from fspop.training.durable import fsync_folder, make_folder, write_error
from fspop.training.hashed import HashedFile, HashedReader
from fspop.training.mapped import MappedFile

_COPY_BYTES = 1 << 20
_ALTERED = "its content is not what was saved"
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp\Z")


class SavedCheckpoint(NamedTuple):
    """What a record says about a checkpoint: its size, and the digest of its one file."""

    size_bytes: int
    digest: str


def save_checkpoint(folder: Path, state: dict[str, Any]) -> SavedCheckpoint:
    """Writes `state` to `folder`, durably: when this returns, a power cut cannot take it back.

    The folder's parent is made where missing, nothing above it: a run directory that is gone stays
    gone. Saving again what the folder already holds is accepted; other content raises Damaged. A
    process that dies in here leaves a temporary beside `folder` (see `temporary_for`), never half a
    checkpoint. Raises DiskFull (nothing is left behind), NotARun, NotWritable, StorageUnavailable,
    and TaskError for a state that is not tensors and plain data.
    """
    name = state_file.file_name(state)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    try:
        make_folder(folder.parent)
        os.mkdir(temporary)
        saved = _write(temporary / name, state)
        fsync_folder(temporary)
        _publish(temporary, folder, saved.digest)
    except OSError as error:
        raise write_error(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already where the rename came through
    return saved


def load_checkpoint(
    folder: Path, digest: str | None = None, map_location: Any = "cpu"
) -> dict[str, Any]:
    """The state saved in `folder`, handed over only with the right digest where one is given.

    The digest is computed from the bytes as they are read, so the file is read once. Reading it
    executes nothing, whatever it holds. Raises Damaged, naming the file, for what is missing,
    incomplete, altered, a symlink, or not loadable without executing it; StorageUnavailable where
    the filesystem fails.
    """
    with _opened(folder) as file:
        reader = HashedReader(file.fileno())
        try:
            return state_file.read_state(str(file.name), reader, map_location)
        finally:  # in place of what the reading raised: altered bytes explain it
            if digest is not None:
                _check_digest(file.name, reader, digest, _ALTERED)


@contextlib.contextmanager
def mapped_checkpoint(
    folder: Path, digest: str | None = None, map_location: Any = "cpu"
) -> Iterator[dict[str, Any]]:
    """For a restore: what `load_checkpoint` gives, in the pages of its file where it is large.

    The digest is compared before anything is made of the bytes. After the block the state is
    empty; what the block let others keep of it is in memory of its own by then. Only while the
    block runs may a checkpoint that another host deletes on a network filesystem end the process.
    """
    state, file = _map(folder, digest, map_location)
    try:
        yield state
    finally:
        state.clear()
        if file is not None:
            file.settle()


def _map(
    folder: Path, digest: str | None, map_location: Any
) -> tuple[dict[str, Any], MappedFile | None]:
    with _opened(folder) as file:
        if file.name.endswith(state_file.TORCH_FILE) and MappedFile.is_worth_it(file.fileno()):
            mapped = MappedFile(file.fileno())
            if digest is not None:
                _check_digest(file.name, mapped, digest, _ALTERED)
            return state_file.read_mapped(file.name, mapped, map_location), mapped
    return load_checkpoint(folder, digest, map_location), None


def copy_checkpoint(folder: Path, to: Path, digest: str) -> None:
    """Copies the file of a checkpoint into the folder `to`, which exists and has no such file.

    Not durably: the digest, compared here and at every use, shows what a power cut left of it.
    Raises Damaged and StorageUnavailable as `load_checkpoint` does, DiskFull and NotWritable.
    """
    with _opened(folder) as file:
        reader = HashedReader(file.fileno())
        path = to / Path(file.name).name
        try:
            copy = open(path, "xb", buffering=0)
        except OSError as error:
            raise write_error(error, path) from error
        with copy:
            while chunk := reader.read(_COPY_BYTES):
                _write_chunk(copy, chunk)
        _check_digest(file.name, reader, digest, _ALTERED)


def _write_chunk(copy: io.FileIO, chunk: bytes) -> None:
    try:
        written = 0
        while written < len(chunk):
            written += copy.write(memoryview(chunk)[written:])
    except OSError as error:
        raise write_error(error, Path(str(copy.name))) from error


def temporary_for(name: str) -> str | None:
    """The folder name that a temporary called `name` was meant for; None for any other name."""
    match = _TEMPORARY.match(name)
    return match[1] if match else None


def _write(path: Path, state: dict[str, Any]) -> SavedCheckpoint:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    file = HashedFile(fd)
    try:
        state_file.write_state(path.name, state, file)
        os.fsync(fd)
    except RuntimeError as error:
        if file.error:  # torch's writer goes on to complain about the half file it has
            raise file.error from None
        raise TaskError(f"state_dict(): torch cannot save it: {error}") from error
    finally:
        os.close(fd)
    return SavedCheckpoint(file.size_bytes, file.digest)


def _publish(temporary: Path, folder: Path, digest: str) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        # It is there from an earlier attempt, or the reply to this rename was lost.
        if folder.name not in os.listdir(folder.parent):
            raise
        with _opened(folder) as file:
            what = "another checkpoint is there under this name"
            _check_digest(file.name, HashedReader(file.fileno()), digest, what)
    fsync_folder(folder.parent)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[BinaryIO]:
    """The one file of a checkpoint; an OSError, also of the reading, becomes the error it means."""
    try:
        os.listdir(folder.parent)  # a network filesystem may remember that it was not there
        with _open_content(folder) as file:
            yield file
    except OSError as error:
        raise _read_error(error, folder) from error


def _open_content(folder: Path) -> BinaryIO:
    # No symlink is followed, and no device or pipe waited for.
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        name = _content_name(folder, os.listdir(folder_fd))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file_fd = os.open(name, flags, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)
    file = open(folder / name, "rb", opener=lambda *_: file_fd)
    if not stat.S_ISREG(os.fstat(file_fd).st_mode):
        file.close()
        raise _damaged(folder / name, "it is not a regular file")
    return file


def _content_name(folder: Path, names: list[str]) -> str:
    found = sorted({state_file.JSON_FILE, state_file.TORCH_FILE} & set(names))
    if len(found) != 1:
        raise _damaged(folder, f"it holds {' and '.join(found) or 'no state'}, not one state file")
    return found[0]


def _check_digest(name: str, file: HashedReader | MappedFile, digest: str, what: str) -> None:
    found = file.digest()
    if found != digest:
        raise _damaged(Path(name), f"{what}: {found[:23]}…, expected {digest[:23]}…")


def _read_error(error: OSError, folder: Path) -> FspopError:
    if error.errno == errno.ENOENT:
        return _damaged(folder, "it does not exist, or lost its file")
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return _damaged(folder, "it is, or holds, a symlink or another kind of file")
    what = f"reading {folder}: {error.strerror or error}"
    return StorageUnavailable(f"{what}; check the mount, then try again", path=str(folder))


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(
        f"{path}: damaged checkpoint ({why}); restore it from a copy, or remove it so that "
        "training goes on from an older one",
        path=str(path),
    )
