"""The run directory on a shared filesystem: atomic files, the lock, the log, snapshots and the
fold.
"""

from fspop.storage.base import Committed, Log
from fspop.storage.log import FileLog
from fspop.storage.memory import MemoryLog, MemoryStore
from fspop.storage.run import (
    check_writable,
    create_folders,
    create_run,
    open_log,
    read_history,
    read_manifest,
    read_run,
)

__all__ = [
    "Committed",
    "FileLog",
    "Log",
    "MemoryLog",
    "MemoryStore",
    "check_writable",
    "create_folders",
    "create_run",
    "open_log",
    "read_history",
    "read_manifest",
    "read_run",
]
