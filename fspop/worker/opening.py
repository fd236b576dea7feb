"""How a session is opened: with what the run, the machine and the command line say."""

from collections.abc import Callable

from fspop.controller.assignment import Assignment
from fspop.experiment import Experiment
from fspop.objectives import goal_of
from fspop.paths import RunPaths
from fspop.records import Manifest
from fspop.training.ranks import ALONE, Ranks
from fspop.training.saver import Saver
from fspop.worker.cache import CheckpointCache
from fspop.worker.session import Session

OpenSession = Callable[[Assignment], Session]


def opener(
    paths: RunPaths,
    manifest: Manifest,
    experiment: Experiment,
    saver: Saver,
    *,
    data: str | None,
    device: str,
    ranks: Ranks = ALONE,
    cache: CheckpointCache | None = None,
) -> OpenSession:
    """A function that opens the session of an assignment; the same on all ranks."""

    def open_session(held: Assignment) -> Session:
        return Session(
            paths,
            experiment.task,
            held,
            saver,
            seed=manifest.seed,
            device=device,
            data=data,
            threads=manifest.threads,
            total_steps=held.total_steps or manifest.total_steps,
            metric=manifest.metric,
            needed=goal_of(manifest).needed,
            ranks=ranks,
            cache=cache,
        )

    return open_session
