"""A run directory as a whole: creating it, recognising it, and reading its manifest."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from fspop.errors import NotARun, NotWritable, RunExists
from fspop.paths import RunPaths
from fspop.records import Manifest, Record, State
from fspop.storage import codec
from fspop.storage.atomic import as_fspop_error, create, list_names, publish, read, remove
from fspop.storage.log import FileLog
from fspop.storage.snapshot import read_records


def read_manifest(paths: RunPaths) -> Manifest:
    """The manifest. Raises NotARun for a missing or foreign directory, Damaged, UnknownFormat."""
    try:
        names = list_names(paths.root)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotARun(
            f"{paths.root}: no such directory; create a run with "
            f"'fspop init FILE --dir {paths.root}'",
            path=paths.root,
        ) from error
    except OSError as error:
        raise as_fspop_error(error, paths.root, "cannot list") from error
    if paths.manifest.name not in names:
        raise NotARun(
            f"{paths.root}: not a run (it has no {paths.manifest.name}); "
            f"create one with 'fspop init FILE --dir DIR', or check --dir",
            path=paths.root,
        )
    try:
        raw = read(paths.manifest)
    except OSError as error:
        raise as_fspop_error(error, paths.manifest, "cannot read") from error
    return codec.decode(raw, Manifest, paths.manifest)


def create_folders(paths: RunPaths) -> None:
    """Makes the folders of a run where they are missing. Raises NotWritable, DiskFull."""
    try:
        for folder in paths.folders():
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise as_fspop_error(error, Path(error.filename or paths.root), "cannot create") from error


def create_run(paths: RunPaths, manifest: Manifest) -> None:
    """Publishes the manifest: from here on the directory is a run. Raises RunExists if it is one
    already.
    """
    create_folders(paths)
    temporary = paths.manifest_attempt(os.urandom(4).hex())
    try:
        new = publish(paths.manifest, codec.encode(manifest), temporary)
    except OSError as error:
        raise as_fspop_error(error, paths.manifest, "cannot create") from error
    if not new:
        raise RunExists(
            f"{paths.root}: already a run; train it with 'fspop worker --dir {paths.root}', "
            "or choose another --dir",
            path=paths.root,
        )


def check_writable(paths: RunPaths) -> None:
    """Raises NotWritable or DiskFull unless a file can be created in the log. Leaves nothing
    behind.
    """
    probe = paths.log / f".probe.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        create(probe, b"\n", sync=False)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NotWritable(
                f"{paths.log}: missing, so the run is damaged; restore it from a backup",
                path=paths.log,
            ) from error
        raise as_fspop_error(error, paths.log, "cannot write in") from error
    remove(probe)


def open_log(paths: RunPaths, manifest: Manifest) -> FileLog:
    """The log of a run."""
    return FileLog(paths, manifest.records_per_segment)


def read_run(root: str | Path) -> tuple[Manifest, State]:
    """Manifest and newest state of a run, without a lock and without writing."""
    paths = RunPaths(root)
    manifest = read_manifest(paths)
    return manifest, open_log(paths, manifest).refresh()


def read_history(root: str | Path) -> Iterator[Record]:
    """Every record of a run from the first on; the cost grows with the run."""
    paths = RunPaths(root)
    return read_records(paths, read_manifest(paths).records_per_segment)
