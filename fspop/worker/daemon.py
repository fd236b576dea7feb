"""The worker: claims a member, trains it to the next report, commits, until the run ends."""

import contextlib
import logging
import sys
from pathlib import Path

from fspop.controller import Assignment, PopulationController
from fspop.controller.liveness import Liveness, this_process
from fspop.controller.text import describe_error
from fspop.controller.workforce import Workforce
from fspop.errors import Damaged, Fenced, FspopError, RankLost, TaskError, TryLater
from fspop.experiment import Experiment
from fspop.experiment_code import Names, load_run_experiment
from fspop.paths import RunPaths
from fspop.records import Manifest, State, check_id
from fspop.storage import check_writable, read_manifest
from fspop.storage.crash import reach
from fspop.training.ranks import ALONE, Ranks
from fspop.worker import environment
from fspop.worker.attempt import Attempt
from fspop.worker.cache import CheckpointCache
from fspop.worker.cleanup import sweep
from fspop.worker.follower import SharedStop, follow
from fspop.worker.heartbeat import Pulse
from fspop.worker.joining import join
from fspop.worker.notify import notify
from fspop.worker.session import checkpoint_folder, opened_checkpoint
from fspop.worker.signals import StopRequest
from fspop.worker.signs import Signs
from fspop.worker.space import with_space
from fspop.worker.torchrun import check_alike, find_ranks, ignored, part

log = logging.getLogger("fspop.worker")

IDLE_S = (0.02, 5.0)
"""The first and the longest pause between two looks while there is nothing to do."""
SECOND_LOOK_S = 1.0
"""How long to wait before a checkpoint that cannot be read is looked at again."""


def run_worker(
    root: Path,
    worker_id: str,
    *,
    data: str | None = None,
    device: str | None = None,
    cache: CheckpointCache | None = None,
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
    ranks, device = find_ranks(device, worker_id, manifest.stall_timeout_s)
    check_alike(ranks, worker_id, manifest.run, str(root))
    stop = SharedStop(ranks)
    stop.install()
    _log_to_stdout(worker_id, ranks)
    if ranks.rank > 0:
        return follow(
            paths, manifest, experiment, stop, data=data, device=device, ranks=ranks, cache=cache
        )
    code = Daemon(
        paths,
        manifest,
        experiment,
        worker_id,
        stop,
        data=data,
        device=device,
        ranks=ranks,
        cache=cache,
    ).run()
    ranks.tell("end")
    part(ranks)
    return code


def _log_to_stdout(worker_id: str, ranks: Ranks) -> None:
    which = f" rank {ranks.rank}" if ranks.world_size > 1 else ""
    form = f"%(asctime)s worker {worker_id}{which}: %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=form, force=True)
    logging.getLogger("filelock").setLevel(logging.WARNING)
    if others := ignored():
        log.warning("%s", others)


class Daemon:
    """One worker process."""

    def __init__(
        self,
        paths: RunPaths,
        manifest: Manifest,
        experiment: Experiment,
        worker_id: str,
        stop: StopRequest,
        *,
        data: str | None,
        device: str,
        cache: CheckpointCache | None = None,
        ranks: Ranks = ALONE,
    ):
        self._paths = paths
        self._ranks = ranks
        self._manifest = manifest
        self._device = device
        self._stop = stop
        controller = PopulationController.open(
            paths.root, experiment.mutator, experiment.domains, Names(paths, manifest)
        )
        process = this_process(worker_id, environment.versions(device))
        lease_s, stall_s = manifest.lease_timeout_s, manifest.stall_timeout_s
        self._liveness = Liveness(paths, lease_s, stall_s)
        self._workforce = Workforce(controller, process, self._liveness)
        self._pulse = Pulse(
            paths, process, self._liveness, lambda: controller.log.refresh(), lease_s
        )
        self._signs = Signs(self._pulse)
        self._attempt = Attempt(
            paths,
            manifest,
            experiment,
            self._workforce,
            self._signs,
            stop,
            data=data,
            device=device,
            cache=cache,
            ranks=ranks,
        )

    def run(self) -> int:
        """Joins, works, leaves. Returns the exit code."""
        self._pulse.beat(device=self._device, doing="joining")
        self._pulse.start()
        try:
            if not join(self._workforce, self._liveness, self._stop):
                return 0
            self._announce()
            self._work()
            with_space(self._workforce.leave, self._signs, self._stop)
        except RankLost:
            with contextlib.suppress(FspopError):
                self._workforce.die()
            raise
        except FspopError:
            with contextlib.suppress(FspopError):
                self._workforce.leave()
            raise
        finally:
            notify("STOPPING=1")
            self._attempt.close()
            self._pulse.stop()
        return 0

    def _announce(self) -> None:
        process = self._workforce.process
        self._pulse.remove_former(process.worker)
        log.info("joined run %s in %s on %s", self._manifest.run, self._paths.root, self._device)
        for line in environment.differences(process, self._workforce.state):
            log.warning("%s; bit-identical results need the same everywhere", line)
        notify("READY=1", f"STATUS=joined {self._paths.root}")

    def _work(self) -> None:
        held: Assignment | None = None
        while not self._stop.is_set:
            held = held or self._claim()
            if held is None:
                break
            held = self._advance(held)
        if self._stop.is_set:
            log.info("stopping on %s", self._stop.reason)
        if held is not None:
            self._save_and_release(held)

    # -- claiming
    def _claim(self) -> Assignment | None:
        """Waits for a member to train; None once the run is finished or a stop was asked for."""
        pause_s, seen = IDLE_S[0], -1
        while not self._stop.is_set:
            held = self._try_claim()
            if held is not None:
                return held
            state = self._workforce.state
            if is_over(state):
                sweep(self._paths, state)
                _say_end(state, self._paths)
                return None
            pause_s = IDLE_S[0] if state.seq != seen else min(2 * pause_s, IDLE_S[1])
            seen = state.seq
            self._signs.show("waiting")
            self._stop.wait(pause_s)
        return None

    def _try_claim(self) -> Assignment | None:
        try:
            held = with_space(self._workforce.claim, self._signs, self._stop)
        except Fenced as error:
            log.warning("%s", error)
            with_space(
                lambda: join(self._workforce, self._liveness, self._stop), self._signs, self._stop
            )
            return None
        if held is not None:
            reach("worker.claimed")
            sweep(self._paths, self._workforce.state, held.member)
        return held

    # -- training
    def _advance(self, held: Assignment) -> Assignment | None:
        """To the next report; what the task raises ends the attempt, not the worker."""
        try:
            return self._attempt.advance(held)
        except Fenced as error:
            log.warning("%s", error)
        except TaskError as error:
            self._fail(held, error.__cause__ or error)
            self._check_in_step(error)
        except Damaged as error:
            if self._paths.checkpoints not in Path(error.attributes["path"]).parents:
                raise
            self._attempt.drop()
            if self._is_about(error, held):
                return self._go_on_without(held, error)
            self._fail(held, error)
        self._attempt.drop()
        return None

    def _check_in_step(self, error: TaskError) -> None:
        """Where the ranks lost each other over it, only starting all of them again can help."""
        if self._ranks.is_broken:
            raise TryLater(f"{error.message}; the ranks of this worker have to be started again")

    def _fail(self, held: Assignment, error: BaseException) -> None:
        line, trace = describe_error(error)
        log.error("member %d, %s: %s\n%s", held.member, held.generation_id, line, trace)
        try:
            final = with_space(
                lambda: self._workforce.fail(held, line, trace), self._signs, self._stop
            )
        except Fenced as fenced:
            log.warning("%s", fenced)
            return
        if final:
            log.error(
                "member %d failed %d times without progress and is given up; when that is mended: "
                "fspop retry --dir %s",
                held.member,
                self._workforce.controller.in_effect(self._workforce.state).manifest.max_attempts,
                self._paths.root,
            )

    def _is_about(self, error: Damaged, held: Assignment) -> bool:
        """Whether the damage is in the checkpoint that `held` starts from."""
        if held.checkpoint is None:
            return False
        folder = checkpoint_folder(self._paths, held.checkpoint)
        damaged = Path(error.attributes["path"])
        return folder == damaged or folder in damaged.parents

    def _go_on_without(self, held: Assignment, error: Damaged) -> Assignment | None:
        """From an earlier checkpoint, where a second look agrees that this one is lost."""
        try:
            replaced = self._workforce.poll(held)  # overtaken by a decision, and so deleted
            if replaced is not None or held.checkpoint is None:
                return replaced
            self._stop.wait(SECOND_LOOK_S)
            try:
                with opened_checkpoint(self._paths, held.checkpoint, "cpu"):
                    return held
            except Damaged as again:
                log.error("%s", again)
            following = with_space(
                lambda: self._workforce.lose(held, str(error)), self._signs, self._stop
            )
        except Fenced as fenced:
            log.warning("%s", fenced)
            return None
        log.warning("member %d goes on without it", held.member)
        return following

    def _save_and_release(self, held: Assignment) -> None:
        """On a request to stop: nothing trained is lost, and the member is free at once."""
        try:
            self._attempt.save(held)
            self._workforce.release(held)
        except RankLost:
            raise
        except (FspopError, OSError) as error:
            log.error("stopping without a checkpoint: %s", error)


def is_over(state: State) -> bool:
    """Whether no member can be trained any more."""
    return all(member.status != "active" for member in state.members)


def _say_end(state: State, paths: RunPaths) -> None:
    failed = [member.index for member in state.members if member.status == "failed"]
    if not failed:
        log.info("the run is finished")
    else:
        how = "has failed" if len(failed) == len(state.members) else "is finished"
        log.error("the run %s: members %s failed; fspop retry --dir %s", how, failed, paths.root)
