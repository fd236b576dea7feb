"""The experiment's files: which ones belong to it, their digest, and their durable copy.

Left out of a folder are hidden names, `__pycache__`, symbolic links and what is no regular file,
virtual environments, and runs; so a run below the folder it copies does not copy itself.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from fspop.errors import ExperimentError, UsageError
from fspop.paths import RunPaths
from fspop.storage.atomic import as_fspop_error, create, sync_folder

MAX_FILES = 10_000
MAX_SIZE_BYTES = 100_000_000
"""More is data rather than code, and every worker reads all of it when it begins."""

Files = dict[str, Path]
"""Where each file is, by its path below the experiment's folder (with slashes)."""


def copy_code(source_file: Path, code_folder: Path | None, destination: Path) -> None:
    """Copies the file alone, or the whole folder that holds it, to `destination`; durable on
    return.

    `destination` must not exist. Dying in here leaves a part of the copy. Raises UsageError where
    file and folder do not fit together, DiskFull, NotWritable.
    """
    files = _source_files(source_file, code_folder, destination.parent)
    try:
        destination.mkdir()
        for name, path in files.items():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            create(target, _read(path))
        for folder in {destination, *(p for n in files for p in _parents(destination, n))}:
            sync_folder(folder)
        sync_folder(destination.parent)
    except OSError as error:
        where = Path(error.filename or destination)
        raise as_fspop_error(error, where, "cannot copy the experiment's code to") from error


def digest_code(folder: Path) -> str:
    """SHA-256 (hex) over paths and contents of the code in `folder`."""
    return _digest(_folder_files(folder))


def digest_source(source_file: Path, code_folder: Path | None, run: Path) -> str:
    """The digest that a copy made for the run directory `run` would have."""
    return _digest(_source_files(source_file, code_folder, run))


def relative_file(source_file: Path, code_folder: Path | None) -> str:
    """The file's path below the code's folder, with slashes; its name where there is none."""
    if not source_file.is_file():
        where = "" if source_file.is_absolute() else f" in {Path.cwd()}"
        what = "it is a folder" if source_file.is_dir() else f"there is no such file{where}"
        raise UsageError(f"FILE: got {str(source_file)!r}, but {what}; give a Python file")
    if code_folder is None:
        return source_file.name
    if not code_folder.is_dir():
        raise UsageError(f"--code: got {str(code_folder)!r}, but there is no such folder")
    file, folder = source_file.resolve(), code_folder.resolve()
    if not file.is_relative_to(folder):
        raise UsageError(f"--code: got {str(code_folder)!r}, but {source_file} is not inside it")
    return file.relative_to(folder).as_posix()


def _source_files(source_file: Path, code_folder: Path | None, run: Path) -> Files:
    name = relative_file(source_file, code_folder)
    if code_folder is None:
        return {name: source_file}
    files = _folder_files(code_folder, leave_out=run)
    if name not in files:
        raise UsageError(f"{source_file}: hidden files and folders are not copied; rename it")
    return files


def _folder_files(folder: Path, leave_out: Path | None = None) -> Files:
    try:
        found = sorted(_walk(folder, "", leave_out.resolve() if leave_out else None))
    except OSError as error:
        raise as_fspop_error(error, Path(error.filename or folder), "cannot list") from error
    size_bytes = sum(path.stat().st_size for _, path in found)
    if len(found) > MAX_FILES or size_bytes > MAX_SIZE_BYTES:
        raise ExperimentError(
            f"{folder}: holds {len(found)} files with {size_bytes / 1e6:.0f} MB, and an "
            f"experiment's code is at most {MAX_FILES} files with {MAX_SIZE_BYTES / 1e6:.0f} MB; "
            "give --code a smaller folder, and workers their data with --data"
        )
    return dict(found)


def _walk(folder: Path, prefix: str, leave_out: Path | None) -> Iterator[tuple[str, Path]]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == "__pycache__" or entry.is_symlink():
            continue
        if entry.is_file():
            yield prefix + entry.name, path
        elif entry.is_dir() and not _is_foreign(path) and path.resolve() != leave_out:
            yield from _walk(path, f"{prefix}{entry.name}/", leave_out)


def _is_foreign(folder: Path) -> bool:
    """Whether a folder is a run or a virtual environment, not code."""
    return RunPaths(folder).manifest.exists() or (folder / "pyvenv.cfg").exists()


def _digest(files: Files) -> str:
    whole = hashlib.sha256()
    for name in sorted(files):
        content = hashlib.sha256(_read(files[name])).hexdigest()
        whole.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})", path=path) from error


def _parents(destination: Path, name: str) -> list[Path]:
    """The folders between `destination` and a file in it, both ends left out."""
    return [destination / parent for parent in Path(name).parents if parent != Path(".")]
