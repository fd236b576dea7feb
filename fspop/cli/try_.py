"""`fspop try`: one member in the foreground, in this process, so that a debugger works."""

import contextlib
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fspop.cli import options
from fspop.errors import TaskError, TaskRaised, UsageError
from fspop.report.text import flat, number, short

if TYPE_CHECKING:
    from fspop.experiment import Experiment
    from fspop.records import Checkpoint
    from fspop.training.saver import Saver
    from fspop.worker.session import Session


def command(
    target: options.Target,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Steps to train.")] = 20,
    member: Annotated[
        int, typer.Option(metavar="M", min=0, help="The member whose first hparams to use.")
    ] = 0,
    seed: options.Seed = None,
    settings: options.Settings = None,
    code: options.Code = None,
    data: options.Data = None,
    device: options.Device = None,
) -> None:
    """Train one member for a few steps, in this process.

    Nothing is shared and nothing is kept, and a debugger works. Goes through what a worker does:
    setup, apply_hparams, train, evaluate, a checkpoint, and restoring it into a fresh task, which
    should then go on exactly like the one that was saved.
    """
    changed = options.overrides(None, seed, settings)
    from fspop.experiment import check_verbs
    from fspop.experiment_code import (
        apply_overrides,
        load_experiment,
        relative_file,
        split_target,
    )
    from fspop.training.saver import Saver

    file, attribute = split_target(target)
    name = relative_file(file, code)
    experiment = load_experiment((code or file.parent).resolve(), name, attribute)
    check_verbs(experiment.task)
    experiment = apply_overrides(experiment, changed)
    if member >= experiment.members:
        raise UsageError(
            f"--member: got {member}, but there are members 0 to {experiment.members - 1}"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="fspop-try-") as scratch, Saver() as saver:
            _Rehearsal(experiment, member, Path(scratch), saver, data, device).run(steps)
    except TaskRaised as error:
        traceback.print_exception(error.__cause__ or error)
        raise


class _Rehearsal:
    """A worker's acts on one member, each said aloud."""

    def __init__(
        self,
        experiment: "Experiment",
        member: int,
        scratch: Path,
        saver: "Saver",
        data: str | None,
        device: str | None,
    ):
        from fspop.paths import RunPaths
        from fspop.worker import environment

        environment.limit_threads(experiment.threads)
        self._experiment, self._member, self._data = experiment, member, data
        self._device = environment.choose_device(device, str(member))
        self._saver = saver
        self._paths = RunPaths(scratch)
        self._paths.checkpoints.mkdir()
        self._opened = contextlib.ExitStack()
        self._hparams = experiment.first_hparams()[member]

    def run(self, steps: int) -> None:
        """Everything once. Raises TaskRaised, HparamsNotApplied, and TaskError for a score that
        does not count.
        """
        hparams = ", ".join(f"{name}={short(v)}" for name, v in flat(self._hparams).items())
        print(f"member {self._member} on {self._device} with {hparams}")
        with self._opened:
            session = self._open(None, term=1)
            self._evaluate(session)
            self._train(session, steps)
            score = self._evaluate(session)
            saved = self._save(session)
            print(f"checkpoint: {saved.size_bytes / 1e6:.3g} MB")
            self._compare(session, self._open(saved, term=2), score, steps)
        if score["value"] is None:
            raise TaskError(f"evaluate: {score['diverged']}; such a score counts as diverged")

    def _open(self, checkpoint: Any, term: int) -> "Session":
        from fspop.controller import Assignment
        from fspop.records import generation_id
        from fspop.worker.session import Session

        held = Assignment(
            member=self._member,
            generation_id=generation_id(self._member, 1),
            step=checkpoint.step if checkpoint else 0,
            params=checkpoint.params if checkpoint else None,
            hparams=self._hparams,
            checkpoint=checkpoint,
            term=term,
        )
        begun_s = time.perf_counter()
        session = Session(
            self._paths,
            self._experiment.task,
            held,
            self._saver,
            seed=self._experiment.seed,
            device=self._device,
            data=self._data,
            threads=self._experiment.threads,
            total_steps=self._experiment.total_steps,
            metric=self._experiment.metric,
            needed=self._experiment.goal.needed,
        )
        self._opened.callback(session.close)
        what = "setup and load_state_dict" if checkpoint else "setup"
        print(f"{what}: {time.perf_counter() - begun_s:.3g} s")
        return session

    @staticmethod
    def _save(session: "Session") -> "Checkpoint":
        saved = session.complete(session.draft()).checkpoint
        assert saved is not None
        return saved

    def _train(self, session: "Session", steps: int) -> None:
        begun_s = time.perf_counter()
        session.train(steps, lambda: True)
        elapsed_s = time.perf_counter() - begun_s
        print(f"train: {steps} steps in {elapsed_s:.3g} s, {steps / elapsed_s:.3g} a second")

    def _evaluate(self, session: "Session") -> dict[str, Any]:
        begun_s = time.perf_counter()
        score = session.evaluate()
        value = f"diverged ({score['diverged']})" if score["diverged"] else number(score["value"])
        others = "".join(f", {name} {short(m)}" for name, m in score["metrics"].items())
        took = f"in {time.perf_counter() - begun_s:.3g} s"
        print(f"evaluate at step {session.step}: {value}{others}, {took}")
        return score

    def _compare(
        self, original: "Session", restored: "Session", score: dict[str, Any], steps: int
    ) -> None:
        """Whether a restored task goes on like the one that was saved."""
        same_score = restored.evaluate() == score
        for session in (original, restored):
            session.train(steps, lambda: True)
        same_state = self._save(original).digest == self._save(restored).digest
        if same_score and same_state:
            print(f"restored: the same score, and the same state after {steps} more steps")
            return
        what = "another score" if not same_score else f"another state after {steps} more steps"
        print(
            f"restored: {what} than the original's, so a run that is interrupted ends with other "
            "numbers; does state_dict() hold everything that training changes (see Task)?"
        )
