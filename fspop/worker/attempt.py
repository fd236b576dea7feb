"""What a worker does with a member it holds: restore it, train it to the next report, commit."""

import contextlib
import logging
import time

from fspop.controller import Assignment
from fspop.controller.workforce import Outcome, Workforce
from fspop.errors import FspopError
from fspop.experiment import Experiment
from fspop.paths import RunPaths
from fspop.records import Manifest
from fspop.storage.crash import reach
from fspop.training.ranked_saver import make_saver
from fspop.training.ranks import ALONE, Ranks
from fspop.worker.cache import CheckpointCache
from fspop.worker.cleanup import delete_retired
from fspop.worker.opening import opener
from fspop.worker.scalars import Charts
from fspop.worker.session import Draft, Session
from fspop.worker.signals import StopRequest
from fspop.worker.signs import Signs
from fspop.worker.space import with_space

log = logging.getLogger("fspop.worker")

POLL_INTERVAL_S = 1.0
"""How often a training loop looks whether its generation was replaced."""


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
        cache: CheckpointCache | None = None,
        ranks: Ranks = ALONE,
    ):
        self._paths = paths
        self._manifest = manifest
        self._workforce = workforce
        self._signs = signs
        self._stop = stop
        self._ranks = ranks
        self._charts = Charts(paths, manifest.tensorboard, workforce.process.incarnation)
        self._saver = make_saver(ranks)
        self._open_session = opener(
            paths,
            manifest,
            experiment,
            self._saver,
            data=data,
            device=device,
            ranks=ranks,
            cache=cache,
        )
        self._session: Session | None = None
        self._draft: Draft | None = None
        self._following: Assignment | None = None
        self._left = False
        self._polled_s = 0.0

    def advance(self, held: Assignment) -> Assignment | None:
        """From `held` to its next report. Returns what to train then; None: nothing for now.

        A report is committed when its checkpoint is durable. Where nothing speaks against it the
        member trains on meanwhile: then `held` itself comes back. Raises Fenced, TaskError or
        Damaged (of the checkpoint), after which `drop` is due.
        """
        session = self._open(held)
        if held.checkpoint is None and self._draft is None:
            self._draft = session.draft()
            return self._commit(session, may_move=False)
        wanted = self._next_report(session.step, session.held) - session.step
        complete = session.train(wanted, self._after_stretch)
        if self._left or self._land(session):
            self._left = False
            return self._following
        if not complete:
            if self._stop.is_set:
                return session.held  # newer than `held` where a report landed meanwhile
            return self._workforce.poll(session.held) or session.held
        self._draft = session.draft(**session.evaluate())
        return self._commit(session) if self._must_wait(session) else session.held

    def save(self, held: Assignment) -> None:
        """On a request to stop: a checkpoint of where training got to, without a score."""
        session = self._session
        if session is None or session.held.term != held.term or self._land(session, may_move=False):
            return
        if session.saved is None or session.step > session.saved.step:
            self._draft = session.draft()
            self._commit(session, may_move=False)

    def drop(self) -> None:
        """Forgets the live task, and a report that was not committed."""
        if self._draft is not None:
            self._ranks.tell("drop")
            with contextlib.suppress(FspopError):
                self._saver.wait()
        self._draft = None
        self._end_session()

    def close(self) -> None:
        """Ends what is open."""
        self._end_session()
        self._charts.close()
        with contextlib.suppress(FspopError):
            self._saver.close()

    def _open(self, held: Assignment) -> Session:
        """The live session where it already stands at `held`, else a new one."""
        if self._session is not None and self._session.carries_on(held):
            return self._session
        self._end_session()
        self._signs.show("restoring", held.member, held.generation_id, held.step)
        self._session = self._open_session(held)
        where = held.checkpoint.point if held.checkpoint else None
        source = f"{where.generation} at step {where.step}" if where else "fresh parameters"
        log.info("training %s from %s with %s", held.generation_id, source, held.hparams)
        return self._session

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _next_report(self, step: int, held: Assignment) -> int:
        every = held.report_every or self._manifest.report_every
        following = (step // every + 1) * every
        limit = held.train_until
        return following if limit is None else min(following, max(limit, step))

    def _after_stretch(self) -> bool:
        """Between two stretches: signs of life, and whether this generation is still wanted."""
        session = self._session
        assert session is not None
        self._show(session, "training", session.steps_per_s)
        if self._stop.is_set:
            return False
        if self._draft is not None and not self._saver.in_flight:
            self._left = self._land(session)
            return not self._left
        now = time.monotonic()
        if now - self._polled_s < POLL_INTERVAL_S:
            return True
        self._polled_s = now
        return self._workforce.poll(session.held) is None

    def _land(self, session: Session, *, may_move: bool = True) -> bool:
        """Commits the report under way, if any. Whether it leads elsewhere, to `_following`."""
        if self._draft is None:
            return False
        held = session.held
        following = self._following = self._commit(session, may_move=may_move)
        if following is None or following.term != held.term:
            return True
        if following.generation_id != held.generation_id:
            return True
        if following.total_steps != held.total_steps:
            return True  # changed by a person; the task is told when it begins
        session.held = following
        return False

    def _must_wait(self, session: Session) -> bool:
        """Whether the report at hand may take this worker elsewhere: then it does not train on."""
        limit = session.held.train_until
        if self._stop.is_set or (limit is not None and session.step >= limit):
            return True
        return self._workforce.may_move_on(session.held, session.step)

    def _commit(self, session: Session, *, may_move: bool = True) -> Assignment | None:
        """Waits until the checkpoint of the report under way is durable, and records it."""
        draft, held = self._draft, session.held
        assert draft is not None
        self._show(session, "saving")
        report = with_space(lambda: session.complete(draft), self._signs, self._stop)
        self._draft = None
        outcome: Outcome = with_space(
            lambda: self._workforce.report(held, report, may_move=may_move), self._signs, self._stop
        )
        reach("worker.reported")
        delete_retired(self._paths, outcome.retired)
        self._charts.write(held, report, draft.scalars)
        value = report.diverged or report.value
        shown = "saved" if value is None else value
        log.info("%s step %d: %s", report.generation, report.step, shown)
        self._say_decisions(held, outcome.next)
        return outcome.next

    def _say_decisions(self, held: Assignment, following: Assignment | None) -> None:
        state = self._workforce.state
        if state.mutator_error:
            log.error("the mutator fails: %s", state.mutator_error)
        if following and following.generation_id != held.generation_id and not following.resumes:
            generation = state.members[following.member].generation
            if generation.id == following.generation_id:
                log.info("next is %s: %s", generation.id, generation.reason)

    def _show(self, session: Session, doing: str, steps_per_s: float = 0.0) -> None:
        held = session.held
        self._signs.show(doing, held.member, held.generation_id, session.step, steps_per_s)
