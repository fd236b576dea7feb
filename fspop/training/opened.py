"""Opening the files of a checkpoint that lies somewhere others can write: nothing is trusted."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fspop.errors import Damaged, FspopError, StorageUnavailable
from fspop.training import state_file
from fspop.training.hashed import HashedReader
from fspop.training.mapped import MappedFile

RANKS_FILE = "ranks.json"
"""Of a checkpoint that several ranks wrote: what its other files are. Its digest is the
checkpoint's."""
ALTERED = "its content is not what was saved"


def read_file(
    folder: Path, name: str | None, digest: str | None, map_location: Any
) -> dict[str, Any]:
    """The state in one file of a checkpoint, handed over only with the right digest.

    Without `name` it is the one state file there is. The digest is computed from the bytes as they
    are read, so the file is read once.
    """
    with opened(folder, name) as file:
        reader = HashedReader(file.fileno())
        try:
            return state_file.read_state(str(file.name), reader, map_location)
        finally:  # in place of what the reading raised: altered bytes explain it
            if digest is not None:
                check_digest(file.name, reader, digest)


@contextlib.contextmanager
def mapped_file(
    folder: Path, name: str | None, digest: str | None, map_location: Any
) -> Iterator[dict[str, Any]]:
    """As `read_file`, in the pages of the file where it is large, for as long as the block runs.

    The digest is compared before anything is made of the bytes. After the block the state is
    empty; what the block let others keep of it is in memory of its own by then.
    """
    state, file = _map(folder, name, digest, map_location)
    try:
        yield state
    finally:
        state.clear()
        if file is not None:
            file.settle()


def _map(
    folder: Path, name: str | None, digest: str | None, map_location: Any
) -> tuple[dict[str, Any], MappedFile | None]:
    with opened(folder, name) as file:
        if file.name.endswith(state_file.TORCH_FILE) and MappedFile.is_worth_it(file.fileno()):
            mapped = MappedFile(file.fileno())
            if digest is not None:
                check_digest(file.name, mapped, digest)
            return state_file.read_mapped(file.name, mapped, map_location), mapped
    return read_file(folder, name, digest, map_location), None


def read_ranks_file(folder: Path, digest: str | None) -> dict[str, Any] | None:
    """What RANKS_FILE says; None for a checkpoint that one process wrote."""
    with opened(folder) as file:
        if not file.name.endswith(RANKS_FILE):
            return None
        return read_file(folder, RANKS_FILE, digest, "cpu")


@contextlib.contextmanager
def opened(folder: Path, name: str | None = None) -> Iterator[BinaryIO]:
    """The file of a checkpoint that its digest is of; an OSError, also of the reading, becomes the
    error it means. `name` opens another one of its files.
    """
    try:
        os.listdir(folder.parent)  # a network filesystem may remember that it was not there
        with _open_content(folder, name) as file:
            yield file
    except OSError as error:
        raise _read_error(error, folder) from error


def _open_content(folder: Path, name: str | None) -> BinaryIO:
    # No symlink is followed, and no device or pipe waited for.
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        name = name or _content_name(folder, os.listdir(folder_fd))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file_fd = os.open(name, flags, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)
    file = open(folder / name, "rb", opener=lambda *_: file_fd)
    if not stat.S_ISREG(os.fstat(file_fd).st_mode):
        file.close()
        raise damaged(folder / name, "it is not a regular file")
    return file


def _content_name(folder: Path, names: list[str]) -> str:
    if RANKS_FILE in names:
        return RANKS_FILE
    found = sorted({state_file.JSON_FILE, state_file.TORCH_FILE} & set(names))
    if len(found) != 1:
        raise damaged(folder, f"it holds {' and '.join(found) or 'no state'}, not one state file")
    return found[0]


def check_digest(
    name: str, file: HashedReader | MappedFile, digest: str, what: str = ALTERED
) -> None:
    """Raises Damaged where `file`, called `name`, has another digest."""
    found = file.digest()
    if found != digest:
        raise damaged(Path(name), f"{what}: {found[:23]}…, expected {digest[:23]}…")


def _read_error(error: OSError, folder: Path) -> FspopError:
    if error.errno == errno.ENOENT:
        return damaged(folder, "it does not exist, or lost its file")
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return damaged(folder, "it is, or holds, a symlink or another kind of file")
    what = f"reading {folder}: {error.strerror or error}"
    return StorageUnavailable(f"{what}; check the mount, then try again", path=str(folder))


def damaged(path: Path, why: str) -> Damaged:
    """The error for what is not as it was written at `path`."""
    return Damaged(
        f"{path}: damaged checkpoint ({why}); restore it from a copy, or remove it so that "
        "training goes on from an older one",
        path=str(path),
    )
