"""What a worker does with a member it holds: restore it, train it to the next report, commit."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from fspop.controller import Assignment
from fspop.controller.workforce import Outcome, Workforce
from fspop.errors import DiskFull
from fspop.experiment import Experiment
from fspop.paths import RunPaths
from fspop.records import Manifest
from fspop.storage.crash import reach
from fspop.worker.cleanup import delete_retired
from fspop.worker.scalars import Charts
from fspop.worker.session import Session
from fspop.worker.signals import StopRequest
from fspop.worker.signs import Signs

log = logging.getLogger("fspop.worker")
T = TypeVar("T")

POLL_INTERVAL_S = 1.0
"""How often a training loop looks whether its generation was replaced."""
DISK_FULL_PAUSE_S = 5.0


class Attempt:
    """Trains what it is given, one report at a time, and keeps the live task in between."""

    def __init__(
        self,
        paths: RunPaths,
        manifest: Manifest,
        experiment: Experiment,
        workforce: Workforce,
        signs: Signs,
        stop: StopRequest,
        *,
        data: str | None,
        device: str,
    ):
        self._paths = paths
        self._manifest = manifest
        self._experiment = experiment
        self._workforce = workforce
        self._signs = signs
        self._stop = stop
        self._data = data
        self._device = device
        self._charts = Charts(paths, manifest.tensorboard, workforce.process.incarnation)
        self._session: Session | None = None
        self._polled_s = 0.0

    def advance(self, held: Assignment) -> Assignment | None:
        """From `held` to its next report. Returns what to train then; None: nothing for now.

        Raises Fenced, TaskError or Damaged (of the checkpoint), after which `drop` is due.
        """
        session = self._open(held)
        if held.checkpoint is None:
            return self._report(session, may_move=False)
        wanted = self._next_report(session.step, held.train_until) - session.step
        if not session.train(wanted, self._after_stretch):
            return held if self._stop.is_set else self._workforce.poll(held) or held
        return self._report(session, may_move=True, **session.evaluate())

    def save(self, held: Assignment) -> None:
        """On a request to stop: a checkpoint of where training got to, without a score."""
        session = self._session
        if session is None or session.held.term != held.term:
            return
        if session.saved is None or session.step > session.saved.step:
            self._report(session, may_move=False)

    def drop(self) -> None:
        """Forgets the live task."""
        self._session = None

    def close(self) -> None:
        """Ends what is open."""
        self._charts.close()

    def _open(self, held: Assignment) -> Session:
        """The live session where it already stands at `held`, else a new one."""
        if self._session is not None and self._session.carries_on(held):
            return self._session
        self._session = None
        self._signs.show("restoring", held.member, held.generation_id, held.step)
        self._session = Session(
            self._paths,
            self._experiment.task,
            held,
            seed=self._manifest.seed,
            device=self._device,
            data=self._data,
            threads=self._manifest.threads,
            total_steps=self._manifest.total_steps,
            metric=self._manifest.metric,
        )
        where = held.checkpoint.point if held.checkpoint else None
        source = f"{where.generation} at step {where.step}" if where else "fresh parameters"
        log.info("training %s from %s with %s", held.generation_id, source, held.hparams)
        return self._session

    def _next_report(self, step: int, train_until: int | None) -> int:
        every = self._manifest.report_every
        following = (step // every + 1) * every
        return following if train_until is None else min(following, max(train_until, step))

    def _after_stretch(self) -> bool:
        """Between two stretches: signs of life, and whether this generation is still wanted."""
        session = self._session
        assert session is not None
        self._show(session, "training", session.steps_per_s)
        if self._stop.is_set:
            return False
        now = time.monotonic()
        if now - self._polled_s < POLL_INTERVAL_S:
            return True
        self._polled_s = now
        return self._workforce.poll(session.held) is None

    def _report(self, session: Session, *, may_move: bool, **score: object) -> Assignment | None:
        self._show(session, "saving")
        checkpoint = self._with_space(session.save)
        report = session.report(checkpoint, **score)
        outcome: Outcome = self._with_space(
            lambda: self._workforce.report(session.held, report, may_move=may_move)
        )
        reach("worker.reported")
        delete_retired(self._paths, outcome.retired)
        self._charts.write(session.held, report, session.scalars())
        value = report.diverged or report.value
        shown = "saved" if value is None else value
        log.info("%s step %d: %s", report.generation, report.step, shown)
        self._say_decisions(session.held, outcome.next)
        return outcome.next

    def _say_decisions(self, held: Assignment, following: Assignment | None) -> None:
        state = self._workforce.state
        if state.mutator_error:
            log.error("the mutator fails: %s", state.mutator_error)
        if following and following.generation_id != held.generation_id and not following.resumes:
            generation = state.members[following.member].generation
            if generation.id == following.generation_id:
                log.info("next is %s: %s", generation.id, generation.reason)

    def _with_space(self, call: Callable[[], T]) -> T:
        """Calls again for as long as the disk is full, unless asked to stop."""
        while True:
            try:
                return call()
            except DiskFull as error:
                if self._stop.is_set:
                    raise
                wait_for_space(error, self._signs, self._stop)

    def _show(self, session: Session, doing: str, steps_per_s: float = 0.0) -> None:
        held = session.held
        self._signs.show(doing, held.member, held.generation_id, session.step, steps_per_s)


def wait_for_space(error: DiskFull, signs: Signs, stop: StopRequest) -> None:
    """Says that the disk is full and sleeps a while."""
    log.error("%s; trying again in %.0f s", error, DISK_FULL_PAUSE_S)
    signs.show("disk full")
    stop.wait(DISK_FULL_PAUSE_S)
