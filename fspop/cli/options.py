"""The options that several verbs share, and the checks they have in common."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from fspop.errors import InvalidId, UsageError
from fspop.records import check_id

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A Python file, or FILE:NAME; without NAME, the Experiment called `experiment`.",
        show_default=False,
    ),
]

PerhapsTarget = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="A Python file, or FILE:NAME, as for init; may be left out where DIR is a run.",
        show_default=False,
    ),
]
RunDir = Annotated[
    str | None,  # no Path: "", as from a shell variable that is not set, is not "."
    typer.Option("--dir", metavar="DIR", envvar="FSPOP_DIR", help="The run's directory."),
]
Members = Annotated[
    int | None, typer.Option(metavar="N", help="How many members, instead of what FILE says.")
]
Seed = Annotated[int | None, typer.Option(metavar="S", help="The seed, instead of FILE's.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another setting of the experiment, as in mutator.interval=200; may be repeated.",
    ),
]
Code = Annotated[
    Path | None,
    typer.Option(
        "--code",
        metavar="FOLDER",
        help="Copy this whole folder, which holds FILE, into the run; else FILE alone is copied.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        envvar="FSPOP_DATA",
        help="This host's data, handed to the task; no part of the run.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A torch device; else a GPU by worker id, or cpu."),
]

Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        envvar="FSPOP_CACHE",
        help="A folder on a local disk that keeps copies of checkpoints, so that this host fetches "
        "each only once; its workers share it.",
    ),
]
CacheGb = Annotated[
    float | None,
    typer.Option(metavar="GB", envvar="FSPOP_CACHE_GB", help="How large it may become: 20."),
]


def needed_dir(run_dir: str | None) -> Path:
    """The run directory. Raises UsageError where neither --dir nor $FSPOP_DIR names one."""
    if not run_dir:
        raise UsageError("which run directory? give --dir DIR, or set FSPOP_DIR")
    return Path(run_dir)


def host_options(
    data: str | None, device: str | None, cache: str | None, cache_gb: float | None
) -> dict[str, str | None]:
    """What of this host its workers are to be given; they may run elsewhere, so paths in full."""
    return {
        "data": data and os.path.abspath(data),
        "device": device,
        "cache": cache and os.path.abspath(cache),
        "cache_gb": None if cache_gb is None else str(cache_gb),
    }


def worker_id(text: str) -> str:
    """A worker's id. Raises InvalidId; one that begins with a dash is an option gone astray."""
    if text.startswith("-"):
        raise InvalidId(f"--id: got {text!r}, but an id does not begin with a dash; give 0, 1, ...")
    return check_id(text, "--id")


def overrides(members: int | None, seed: int | None, settings: list[str] | None) -> dict[str, Any]:
    """What the command line changes in the experiment, by dotted key. Raises UsageError."""
    from fspop.experiment_code import parse_override

    changed: dict[str, Any] = {}
    given = [("members", members), ("seed", seed), *map(parse_override, settings or [])]
    for key, value in given:
        if key in changed:
            raise UsageError(f"--set {key}: given twice; give it once")
        if value is not None or key not in ("members", "seed"):
            changed[key] = value
    return changed


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM end the block like Ctrl-C, so that a service manager stops it as cleanly."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
