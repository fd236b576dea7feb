"""The worker: claims a member, trains it to the next report, commits, and goes on until the run
ends.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fspop.controller import Assignment, PopulationController
from fspop.controller.decide import describe_error
from fspop.controller.liveness import Liveness, this_process
from fspop.controller.workforce import Outcome, Workforce
from fspop.errors import Damaged, DiskFull, Fenced, FspopError, TaskError
from fspop.experiment import Experiment
from fspop.experiment_code import load_run_experiment
from fspop.paths import RunPaths
from fspop.records import Manifest, State, check_id
from fspop.storage import check_writable, read_manifest
from fspop.storage.crash import reach
from fspop.worker import environment
from fspop.worker.cleanup import delete_retired, sweep
from fspop.worker.heartbeat import Pulse
from fspop.worker.joining import join
from fspop.worker.notify import notify, watchdog_interval_s
from fspop.worker.scalars import Charts
from fspop.worker.session import Session, read_checkpoint
from fspop.worker.signals import StopRequest

log = logging.getLogger("fspop.worker")
T = TypeVar("T")

IDLE_S = (0.02, 5.0)
"""The first and the longest pause between two looks while there is nothing to do."""
POLL_INTERVAL_S = 1.0
"""How often a training loop looks whether its generation was replaced."""
DISK_FULL_PAUSE_S = 5.0
SECOND_LOOK_S = 1.0
"""How long to wait before a checkpoint that cannot be read is looked at again."""


def run_worker(
    root: Path, worker_id: str, *, data: str | None = None, device: str | None = None
) -> int:
    """Works in the run at `root` until it is finished or a signal asks to stop; both are exit code
    0.

    Raises FspopError for what only a person can mend: no run, experiment changed, id in use.
    """
    check_id(worker_id, "worker id")
    paths = RunPaths(root)
    manifest = read_manifest(paths)
    check_writable(paths)
    environment.limit_threads(manifest.threads)
    experiment = load_run_experiment(paths, manifest)
    environment.limit_threads(manifest.threads)
    device = environment.choose_device(device, worker_id)
    stop = StopRequest()
    stop.install()
    _log_to_stdout(worker_id)
    return Daemon(paths, manifest, experiment, worker_id, data, device, stop).run()


def _log_to_stdout(worker_id: str) -> None:
    form = f"%(asctime)s worker {worker_id}: %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=form, force=True)
    logging.getLogger("filelock").setLevel(logging.WARNING)


class Daemon:
    """One worker process."""

    def __init__(
        self,
        paths: RunPaths,
        manifest: Manifest,
        experiment: Experiment,
        worker_id: str,
        data: str | None,
        device: str,
        stop: StopRequest,
    ):
        self._paths = paths
        self._manifest = manifest
        self._experiment = experiment
        self._data = data
        self._device = device
        self._stop = stop
        controller = PopulationController.open(paths.root, experiment.mutator, experiment.domains)
        process = this_process(worker_id, environment.versions(device))
        lease_s, stall_s = manifest.lease_timeout_s, manifest.stall_timeout_s
        self._liveness = Liveness(paths, lease_s, stall_s)
        self._workforce = Workforce(controller, process, self._liveness)
        self._pulse = Pulse(
            paths, process, self._liveness, lambda: controller.log.refresh(), lease_s
        )
        self._charts = Charts(paths, manifest.tensorboard, process.incarnation)
        self._session: Session | None = None
        self._polled_s = 0.0
        self._notified_s = 0.0

    def run(self) -> int:
        """Joins, works, leaves. Returns the exit code."""
        self._pulse.start()
        self._pulse.beat(device=self._device, doing="joining")
        try:
            if not join(self._workforce, self._liveness, self._stop):
                return 0
            self._announce()
            self._work()
            self._workforce.leave()
        except FspopError:
            with contextlib.suppress(FspopError):
                self._workforce.leave()
            raise
        finally:
            notify("STOPPING=1")
            self._charts.close()
            self._pulse.stop()
        return 0

    def _announce(self) -> None:
        process = self._workforce.process
        self._pulse.remove_former(process.worker)
        log.info("joined run %s in %s on %s", self._manifest.run, self._paths.root, self._device)
        for line in environment.differences(process, self._workforce.state):
            log.warning("%s; bit-identical results need the same everywhere", line)
        notify("READY=1", f"STATUS=joined {self._paths.root}")

    # -- the loop
    def _work(self) -> None:
        held: Assignment | None = None
        while not self._stop.is_set:
            held = held or self._claim()
            if held is None:
                return
            held = self._attempt(held)
        if held is not None:
            self._save_and_release(held)
        log.info("stopping on %s", self._stop.reason)

    def _claim(self) -> Assignment | None:
        """Waits for a member to train; None once the run is finished or a stop was asked for."""
        pause_s, seen = IDLE_S[0], -1
        while not self._stop.is_set:
            held = self._try_claim()
            if held is not None:
                return held
            state = self._workforce.state
            if is_over(state):
                log.info("the run is finished")
                return None
            pause_s = IDLE_S[0] if state.seq != seen else min(2 * pause_s, IDLE_S[1])
            seen = state.seq
            self._pulse.beat(member=None, generation="", doing="waiting", steps_per_s=0.0)
            self._tell_systemd("waiting for a member")
            self._stop.wait(pause_s)
        return None

    def _try_claim(self) -> Assignment | None:
        try:
            held = self._workforce.claim()
        except DiskFull as error:
            self._wait_for_space(error)
            return None
        except Fenced as error:
            log.warning("%s", error)
            join(self._workforce, self._liveness, self._stop)
            return None
        if held is not None:
            reach("worker.claimed")
            sweep(self._paths, self._workforce.state, held.member)
        return held

    def _attempt(self, held: Assignment) -> Assignment | None:
        """One stretch of training up to a report; what the task raises ends the attempt, not the
        worker.
        """
        try:
            return self._train(held)
        except Fenced as error:
            log.warning("%s", error)
        except TaskError as error:
            self._fail(held, error.__cause__ or error)
        except Damaged as error:
            if self._paths.checkpoints not in Path(error.attributes["path"]).parents:
                raise
            return self._go_on_without(held, error)
        self._session = None
        return None

    def _train(self, held: Assignment) -> Assignment | None:
        """From `held` to its next report. Returns what to train then; None: nothing for now."""
        session = self._open_session(held)
        if held.checkpoint is None:
            return self._report(session, may_move=False)
        wanted = self._next_report(session.step, held.train_until) - session.step
        if not session.train(wanted, self._after_stretch):
            return held if self._stop.is_set else self._workforce.poll(held) or held
        return self._report(session, may_move=True, **session.evaluate())

    def _open_session(self, held: Assignment) -> Session:
        """The live session where it already stands at `held`, else a new one."""
        if self._session is not None and self._session.carries_on(held):
            return self._session
        self._session = None
        self._beat(held.member, held.generation_id, held.step, "restoring")
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
        held = session.held
        self._beat(held.member, held.generation_id, session.step, "training", session.steps_per_s)
        self._tell_systemd(f"{held.generation_id} at step {session.step}")
        if self._stop.is_set:
            return False
        now = time.monotonic()
        if now - self._polled_s < POLL_INTERVAL_S:
            return True
        self._polled_s = now
        return self._workforce.poll(held) is None

    def _report(self, session: Session, *, may_move: bool, **score: object) -> Assignment | None:
        self._beat(session.held.member, session.held.generation_id, session.step, "saving")
        checkpoint = self._with_space(session.save)
        report = session.report(checkpoint, **score)
        outcome: Outcome = self._with_space(
            lambda: self._workforce.report(session.held, report, may_move=may_move)
        )
        reach("worker.reported")
        delete_retired(self._paths, outcome.retired)
        self._charts.write(session.held, report, session.scalars())
        value = report.diverged or report.value
        log.info(
            "%s step %d: %s", report.generation, report.step, "saved" if value is None else value
        )
        self._say_decisions(session.held, outcome.next)
        return outcome.next

    def _say_decisions(self, held: Assignment, following: Assignment | None) -> None:
        state = self._workforce.state
        if state.mutator_error:
            log.error("the mutator fails: %s", state.mutator_error)
        if following and following.generation_id != held.generation_id:
            generation = state.members[following.member].generation
            if generation.id == following.generation_id:
                log.info("next is %s: %s", generation.id, generation.reason)

    # -- trouble
    def _fail(self, held: Assignment, error: BaseException) -> None:
        line, trace = describe_error(error)
        log.error("member %d, %s: %s\n%s", held.member, held.generation_id, line, trace)
        try:
            final = self._workforce.fail(held, line, trace)
        except Fenced as fenced:
            log.warning("%s", fenced)
            return
        if final:
            log.error(
                "member %d failed %d times since its last checkpoint and is given up",
                held.member,
                self._manifest.max_attempts,
            )

    def _go_on_without(self, held: Assignment, error: Damaged) -> Assignment | None:
        """From an earlier checkpoint, where a second look agrees that this one is lost."""
        self._session = None
        try:
            replaced = self._workforce.poll(held)  # overtaken by a decision, and so deleted
            if replaced is not None or held.checkpoint is None:
                return replaced
            self._stop.wait(SECOND_LOOK_S)
            try:
                read_checkpoint(self._paths, held.checkpoint, "cpu")
                return held
            except Damaged as again:
                log.error("%s", again)
            following = self._workforce.lose(held, str(error))
        except Fenced as fenced:
            log.warning("%s", fenced)
            return None
        log.warning("member %d goes on without it", held.member)
        return following

    def _with_space(self, call: Callable[[], T]) -> T:
        """Calls again for as long as the disk is full, unless asked to stop."""
        while True:
            try:
                return call()
            except DiskFull as error:
                if self._stop.is_set:
                    raise
                self._wait_for_space(error)

    def _wait_for_space(self, error: DiskFull) -> None:
        log.error("%s; trying again in %.0f s", error, DISK_FULL_PAUSE_S)
        self._pulse.beat(doing="disk full")
        self._stop.wait(DISK_FULL_PAUSE_S)

    def _save_and_release(self, held: Assignment) -> None:
        """On a request to stop: nothing trained is lost, and the member is free at once."""
        session = self._session
        try:
            if session is not None and session.held.term == held.term:
                if session.saved is None or session.step > session.saved.step:
                    self._report(session, may_move=False)
            self._workforce.release(held)
        except FspopError as error:
            log.error("stopping without a checkpoint: %s", error)

    # -- signs of life
    def _beat(
        self, member: int, generation: str, step: int, doing: str, steps_per_s: float = 0.0
    ) -> None:
        self._pulse.beat(
            member=member,
            generation=generation,
            step=step,
            doing=doing,
            steps_per_s=round(steps_per_s, 3),
        )

    def _tell_systemd(self, status: str) -> None:
        interval_s = watchdog_interval_s() or 10.0
        if time.monotonic() - self._notified_s >= interval_s / 2:
            self._notified_s = time.monotonic()
            notify("WATCHDOG=1", f"STATUS={status}")


def is_over(state: State) -> bool:
    """Whether no member can be trained any more."""
    return all(member.status != "active" for member in state.members)
