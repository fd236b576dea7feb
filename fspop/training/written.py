"""One file of a checkpoint: written, digested on the way, and durable."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from fspop.errors import TaskError
from fspop.training import state_file
from fspop.training.hashed import HashedFile


class SavedCheckpoint(NamedTuple):
    """What a record says about a checkpoint: its size, and the digest of its one file (or of the
    one that names the files of all ranks).
    """

    size_bytes: int
    digest: str


def write_file(path: Path, state: dict[str, Any]) -> SavedCheckpoint:
    """Writes a state to a new file, whose name is that of `state_file` with something in front."""
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
