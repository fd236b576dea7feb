"""`fspop worker`: one worker process."""

from pathlib import Path
from typing import Annotated

import typer

from fspop.cli import options
from fspop.errors import InvalidSetting


def command(
    id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Its name, unique in the run: 0, 1, ...")
    ],
    run_dir: options.RunDir = None,
    data: options.Data = None,
    device: options.Device = None,
    cache: options.Cache = None,
    cache_gb: options.CacheGb = None,
) -> None:
    """Train members of the run until it is finished.

    Start one on every machine, each with an id of its own. It may be killed at any time, and
    started again with the same id. SIGTERM or Ctrl-C make it save and end. Exit codes: 0 finished
    or asked to stop, 2 usage, 78 somebody has to change something, 75 try later, 70 a bug.
    """
    worker = options.worker_id(id)
    root = options.needed_dir(run_dir)
    from fspop.worker.cache import DEFAULT_GB, CheckpointCache
    from fspop.worker.daemon import run_worker

    limit_gb = DEFAULT_GB if cache_gb is None else cache_gb
    if cache and Path(cache).resolve().is_relative_to(root.resolve()):
        raise InvalidSetting(
            f"cache: {cache} is inside the run directory; give a folder on a disk of this host"
        )
    copies = CheckpointCache(Path(cache), limit_gb) if cache else None
    raise typer.Exit(run_worker(root, worker, data=data, device=device, cache=copies))
