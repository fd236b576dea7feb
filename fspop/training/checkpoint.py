"""Checkpoint folders: each is complete under its name or absent, and is verified before use."""

import contextlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fspop.training import state_file
from fspop.training.durable import fsync_folder, make_folder, write_error
from fspop.training.hashed import HashedReader
from fspop.training.opened import check_digest, opened
from fspop.training.ranked_reading import Live, digests, mapped_state, read_state
from fspop.training.ranks import ALONE, Ranks
from fspop.training.written import SavedCheckpoint, write_file

_COPY_BYTES = 1 << 20
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp\Z")


def save_checkpoint(folder: Path, state: dict[str, Any]) -> SavedCheckpoint:
    """Writes `state` to `folder`, durably: when this returns, a power cut cannot take it back.

    The folder's parent is made where missing, nothing above it: a run directory that is gone stays
    gone. Saving again what the folder already holds is accepted; other content raises Damaged. A
    process that dies in here leaves a temporary beside `folder` (see `temporary_for`), never half a
    checkpoint. Raises DiskFull (nothing is left behind), NotARun, NotWritable, StorageUnavailable,
    and TaskError for a state that is not tensors and plain data.
    """
    name = state_file.file_name(state)
    temporary = temporary_name(folder)
    try:
        make_temporary(temporary)
        saved = write_file(temporary / name, state)
        publish(temporary, folder, saved.digest)
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
    return read_state(folder, digest, map_location)


@contextlib.contextmanager
def mapped_checkpoint(
    folder: Path,
    digest: str | None = None,
    map_location: Any = "cpu",
    ranks: Ranks = ALONE,
    live: Live | None = None,
) -> Iterator[dict[str, Any]]:
    """For a restore: what `load_checkpoint` gives, in the pages of its file where it is large.

    The digest is compared before anything is made of the bytes. After the block the state is
    empty; what the block let others keep of it is in memory of its own by then. Only while the
    block runs may a checkpoint that another host deletes on a network filesystem end the process.
    For `ranks` and `live` see `mapped_state`.
    """
    with mapped_state(folder, digest, map_location, ranks, live) as state:
        yield state


def copy_checkpoint(folder: Path, to: Path, digest: str) -> None:
    """Copies the files of a checkpoint into the folder `to`, which exists and has no such files.

    Not durably: the digest, compared here and at every use, shows what a power cut left of it.
    Raises Damaged and StorageUnavailable as `load_checkpoint` does, DiskFull and NotWritable.
    """
    _copy_file(folder, None, to, digest)
    for name, file_digest in digests(folder, digest).items():
        _copy_file(folder, name, to, file_digest)


def _copy_file(folder: Path, name: str | None, to: Path, digest: str) -> None:
    with opened(folder, name) as file:
        reader = HashedReader(file.fileno())
        path = to / Path(file.name).name
        try:
            copy = open(path, "xb", buffering=0)
        except OSError as error:
            raise write_error(error, path) from error
        with copy:
            while chunk := reader.read(_COPY_BYTES):
                _write_chunk(copy, chunk)
        check_digest(file.name, reader, digest)


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


def temporary_name(folder: Path) -> Path:
    """A fresh name beside `folder` for what is to become it."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")


def make_temporary(temporary: Path) -> None:
    """Makes this folder, and the one above where missing. Raises OSError, as all that follow."""
    make_folder(temporary.parent)
    os.mkdir(temporary)


def publish(temporary: Path, folder: Path, digest: str) -> None:
    """Makes `temporary`, whose files are durable, the checkpoint `folder`."""
    fsync_folder(temporary)
    try:
        os.rename(temporary, folder)
    except OSError:
        # It is there from an earlier attempt, or the reply to this rename was lost.
        if folder.name not in os.listdir(folder.parent):
            raise
        with opened(folder) as file:
            what = "another checkpoint is there under this name"
            check_digest(file.name, HashedReader(file.fileno()), digest, what)
    fsync_folder(folder.parent)
