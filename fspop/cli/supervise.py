"""Running the workers of one machine and showing what they do, until the run is finished."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from fspop.cli.look import Watcher
from fspop.cli.progress import Live, Plain
from fspop.errors import (
    ConfigurationError,
    DuplicateWorker,
    FspopError,
    StorageUnavailable,
    TaskError,
    TryLater,
    UsageError,
)
from fspop.experiment_code.fresh import python_command, python_environment
from fspop.launch import Event, Supervisor
from fspop.paths import RunPaths
from fspop.report.schema import RunStatus
from fspop.report.text import given_up

POLL_INTERVAL_S = 0.1
LOOK_INTERVAL_S = 1.0


def worker_command(root: Path, **options: str | None) -> Callable[[int], list[str]]:
    """What runs worker i; `options` are those of `fspop worker`, None: not given."""
    fixed = ["--dir", str(root)]
    for name, value in options.items():
        fixed += [f"--{name.replace('_', '-')}", value] if value else []
    return lambda i: [*python_command(), "-m", "fspop", "worker", "--id", str(i), *fixed]


def supervise(root: Path, n_workers: int, **options: str | None) -> RunStatus:
    """Runs workers 0 to n_workers-1 until none is left; returns how the run stands then. `options`
    are those of `fspop worker`.

    KeyboardInterrupt stops the workers cleanly and passes on; a second one kills them. Raises what
    the workers ended with where the run is not finished.
    """
    paths = RunPaths(root.absolute())
    supervisor = Supervisor(
        worker_command(paths.root, **options),
        n_workers,
        lambda i: paths.worker_log(str(i)),
        environment=python_environment(),
    )
    watcher = Watcher(root)
    _check_free(watcher.look(), n_workers)
    view = Live() if sys.stdout.isatty() else Plain()
    try:
        with view:
            _watch(supervisor, watcher, view)
            status = watcher.look()
            view.show(status, last=True)
    except KeyboardInterrupt:
        print("stopping: the workers save and end; Ctrl-C again kills them", flush=True)
        print(f"stopped: {_stop(supervisor)}; the same command goes on with the run", flush=True)
        raise
    finally:
        _stop(supervisor)
    _check_finished(status, supervisor, paths)
    return status


def _check_free(status: RunStatus, n_workers: int) -> None:
    """Raises DuplicateWorker where a worker of these ids is at work already."""
    ids = {str(i) for i in range(n_workers)}
    for worker in status.workers:
        if worker.worker in ids and worker.state == "alive":
            raise DuplicateWorker(
                f"worker {worker.worker} is already running on {worker.host}, process "
                f"{worker.pid}, perhaps of another 'fspop run'; look with 'fspop status --dir "
                f"{status.dir} --watch', or give further workers other ids with 'fspop worker'"
            )


def _watch(supervisor: Supervisor, watcher: Watcher, view: Live | Plain) -> None:
    looked_s = 0.0
    while supervisor.running:
        view.tell(supervisor.poll())
        if time.monotonic() - looked_s >= LOOK_INTERVAL_S:
            _look(watcher, view)
            looked_s = time.monotonic()
        time.sleep(POLL_INTERVAL_S)


def _look(watcher: Watcher, view: Live | Plain) -> None:
    """A mount that hiccups must not end the workers."""
    try:
        view.show(watcher.look())
    except StorageUnavailable as error:
        view.tell([Event(-1, "status", error.message)])


def _stop(supervisor: Supervisor) -> str:
    """Ends the workers that still run; says how they ended."""
    try:
        events = supervisor.stop()
    except KeyboardInterrupt:
        supervisor.stop(timeout_s=0.0)
        return "the workers were killed, which loses what they trained since their last report"
    return "; ".join(e.message for e in events if e.exit_code) or "all workers saved and ended"


def check_scored(status: RunStatus) -> bool:
    """Whether the run is over. Raises TaskError where that was not a success."""
    if status.state == "failed":
        raise TaskError(given_up(status))
    if status.state == "finished" and status.best is None:
        raise TaskError(
            f"the run is finished without one score{_why(status)}; see 'fspop status --dir "
            f"{status.dir}'"
        )
    return status.state == "finished"


def _why(status: RunStatus) -> str:
    reasons = [f": {m.diverged} (member {m.member})" for m in status.members if m.diverged]
    return reasons[0] if reasons else ""


def _check_finished(status: RunStatus, supervisor: Supervisor, paths: RunPaths) -> None:
    if check_scored(status):
        return
    codes = supervisor.exit_codes
    worker, code = max(codes.items(), key=lambda item: abs(item[1] or 0))
    if not code:
        raise TryLater(
            "the run is not finished, its workers were stopped; the same command goes on"
        )
    kinds: dict[int, type[FspopError]] = {2: UsageError, 75: TryLater, 78: ConfigurationError}
    said = _last_line(paths.worker_log(str(worker)))
    raise kinds.get(code, FspopError)(
        f"the run is not finished; worker {worker} ended with exit code {code}: {said}"
    )


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return f"no log at {log}"
    errors = [line for line in lines if line.startswith("fspop: error: ")]  # others may write too
    said = (errors or lines)[-1:]
    return said[0].removeprefix("fspop: error: ") if said else f"nothing in {log}"
