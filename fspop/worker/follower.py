"""What every rank but the first does: it trains as rank 0 says, and touches neither the log nor
anything else of the run but its part of a checkpoint.
"""

import contextlib
import logging
from pathlib import Path

from fspop.controller.assignment import Assignment
from fspop.errors import FspopError, RankLost
from fspop.experiment import Experiment
from fspop.paths import RunPaths
from fspop.records import Manifest
from fspop.training.ranked_saver import make_saver
from fspop.training.ranks import Ranks
from fspop.training.saver import Saver
from fspop.worker.cache import CheckpointCache
from fspop.worker.opening import OpenSession, opener
from fspop.worker.session import Session
from fspop.worker.signals import StopRequest
from fspop.worker.torchrun import part

log = logging.getLogger("fspop.worker")


class SharedStop(StopRequest):
    """A request to stop that any rank may get; all know of it after the next thing they do."""

    def __init__(self, ranks: Ranks):
        super().__init__()
        self._ranks = ranks
        ranks.stop = self

    def wait(self, timeout_s: float) -> bool:
        """Sleeps as all ranks do, so that each hears of a request that another one got."""
        if not self.is_set:
            self._ranks.tell("wait", timeout_s)
            self._ranks.each(lambda: super(SharedStop, self).wait(timeout_s))
        return self.is_set


def follow(
    paths: RunPaths,
    manifest: Manifest,
    experiment: Experiment,
    stop: SharedStop,
    *,
    data: str | None,
    device: str,
    ranks: Ranks,
    cache: CheckpointCache | None,
) -> int:
    """Works for rank 0 until it says that it is over. Returns the exit code; raises RankLost."""
    saver = make_saver(ranks)
    open_session = opener(
        paths, manifest, experiment, saver, data=data, device=device, ranks=ranks, cache=cache
    )
    follower = Follower(ranks, saver, stop, open_session)
    try:
        follower.run()
    finally:
        follower.end_session()
    with contextlib.suppress(FspopError):  # rank 0 has said it
        saver.close()
    part(ranks)
    return 0


class Follower:
    """Carries out the orders of rank 0, each of which is a call of a Session or of its saver."""

    def __init__(self, ranks: Ranks, saver: Saver, stop: SharedStop, open_session: OpenSession):
        self._ranks, self._saver, self._stop = ranks, saver, stop
        self._open_session = open_session
        self._session: Session | None = None

    def run(self) -> None:
        """Follows until rank 0 says that it is over."""
        while True:
            verb, *arguments = self._ranks.hear()
            if verb == "end":
                return
            try:
                getattr(self, f"on_{verb}")(*arguments)
            except RankLost:
                raise
            except FspopError as error:  # rank 0 knows it too, and decides
                log.error("%s", error, exc_info=error.__cause__)
                if self._ranks.is_broken:
                    raise

    def end_session(self) -> None:
        """Ends the task at hand, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # -- the orders
    def on_wait(self, timeout_s: float) -> None:
        """Sleeps along."""
        self._ranks.each(lambda: StopRequest.wait(self._stop, timeout_s))

    def on_begin(self, held: Assignment) -> None:
        """A task on another generation."""
        self.end_session()
        self._session = self._open_session(held)

    def on_stretch(self, n_steps: int) -> None:
        """Trains."""
        self._live().follow(n_steps)

    def on_evaluate(self) -> None:
        """Takes part in an evaluation."""
        self._live().evaluate()

    def on_draft(self, folder: Path) -> None:
        """Begins to save this rank's part."""
        self._live().save(folder)

    def on_complete(self) -> None:
        """Waits until the checkpoint is durable."""
        self._saver.wait()

    def on_drop(self) -> None:
        """Forgets the task, and a save under way."""
        with contextlib.suppress(FspopError):
            self._saver.wait()
        self.end_session()

    def _live(self) -> Session:
        assert self._session is not None, "rank 0 begins before it goes on"
        return self._session
