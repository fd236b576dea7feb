"""One task in training: set up, restored, verified, trained in short stretches, saved."""

import contextlib
import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from fspop.controller.assignment import Assignment
from fspop.controller.score import read_score
from fspop.errors import ConfigurationError, RankLost, TaskError, TaskRaised
from fspop.paths import RunPaths
from fspop.records import Checkpoint, Reported, parse_generation_id
from fspop.seeds import derive_seed
from fspop.storage.crash import reach
from fspop.training import random_state
from fspop.training.checkpoint import mapped_checkpoint
from fspop.training.in_effect import check_in_effect
from fspop.training.ranked_reading import Live
from fspop.training.ranks import ALONE, Ranks
from fspop.training.saver import Saver
from fspop.training.task import Context, Task
from fspop.worker.cache import CheckpointCache

log = logging.getLogger("fspop.worker")

STRETCH_S = 0.25
"""How long one call of train() should take, so that signals and swaps are seen in time."""


@contextlib.contextmanager
def user_code(doing: str) -> Iterator[None]:
    """Turns whatever the user's code raises into TaskRaised, so that it is told from our own
    errors. A TaskError says that already.
    """
    try:
        yield
    except (TaskError, RankLost):
        raise
    except (Exception, SystemExit) as error:
        raise TaskRaised(f"{doing}: {type(error).__name__}: {error}") from error


def checkpoint_folder(paths: RunPaths, checkpoint: Checkpoint) -> Path:
    """Where a checkpoint on record lies; its recorded path is for readers and not trusted."""
    return paths.checkpoint(checkpoint.generation, checkpoint.step, checkpoint.term)


def opened_checkpoint(
    paths: RunPaths,
    checkpoint: Checkpoint,
    device: str,
    cache: CheckpointCache | None = None,
    ranks: Ranks = ALONE,
    live: Live | None = None,
) -> AbstractContextManager[dict[str, Any]]:
    """The verified content of a checkpoint on record, in the pages of its file, or of a copy in
    `cache`, for as long as the block runs. Raises Damaged, StorageUnavailable.
    """
    folder, digest = checkpoint_folder(paths, checkpoint), checkpoint.digest
    if cache is not None:
        return cache.opened(folder, digest, checkpoint.size_bytes, device, ranks, live)
    return mapped_checkpoint(folder, digest or None, device, ranks, live)


class Draft(NamedTuple):
    """A report whose checkpoint is still being written, so without size and digest."""

    checkpoint: Checkpoint
    train_s: float
    score: dict[str, Any]
    scalars: dict[str, Any]


class Session:
    """A task on one generation. The global random state belongs to it only while it trains."""

    def __init__(
        self,
        paths: RunPaths,
        make_task: Callable[[], Task],
        held: Assignment,
        saver: Saver,
        *,
        seed: int,
        device: str = "cpu",
        data: str | None = None,
        threads: int = 1,
        total_steps: int | None = None,
        metric: str | None = None,
        ranks: Ranks = ALONE,
        cache: CheckpointCache | None = None,
        needed: Sequence[str] = (),
    ):
        self._paths = paths
        self._ranks, self._cache = ranks, cache
        self._saver = saver
        self._metric, self._needed = metric, needed
        self._device = device
        self.held = held
        self.step = held.step
        self.train_s = held.train_s if held.resumes else 0.0
        self.steps_per_s = 0.0
        self.saved: Checkpoint | None = held.checkpoint if held.resumes else None
        parsed = parse_generation_id(held.generation_id)
        assert parsed is not None
        self._seeds = (seed, *parsed)
        context = Context(
            member=held.member,
            generation=held.generation_id,
            hparams=copy.deepcopy(held.hparams),
            seed=derive_seed(*self._seeds, "task"),
            step=held.step,
            total_steps=total_steps,
            device=device,
            data=data,
            threads=threads,
            rank=ranks.rank,
            world_size=ranks.world_size,
            local_rank=ranks.local_rank,
        )
        ranks.tell("begin", held)
        try:
            ranks.each(lambda: self._begin(make_task, context))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the task, where it has something to end; what that raises is only logged."""
        close = getattr(getattr(self, "_task", None), "close", None)
        try:
            with user_code("close"):
                if callable(close):
                    close()
        except TaskError as error:
            log.warning("%s: %s", self.held.generation_id, error)

    def _begin(self, make_task: Callable[[], Task], context: Context) -> None:
        """Sets up, restores, then applies the hparams over whatever the checkpoint brought back."""
        random_state.seed_all(derive_seed(*self._seeds, "construct"))  # it may draw weights already
        with user_code("constructing the task"):
            self._task = make_task()
        check_takes_ranks(self._task, self._ranks)
        random_state.seed_all(derive_seed(*self._seeds, "setup"))
        with user_code("setup"):
            self._task.setup(context)
        random = self._restore()
        apply_hparams(self._task, copy.deepcopy(self.held.hparams))
        own = [self._ranks.rank] if self._ranks.rank else []  # other dropout on other data
        random_state.seed_all(derive_seed(*self._seeds, "train", *own))
        if random is not None:
            random_state.restore(random, self._device)
        self._random = random_state.capture(self._device)
        reach("worker.restored")

    def _restore(self) -> dict[str, Any] | None:
        """Gives the task its checkpoint, if there is one; the random state to go on with, if any.

        After `setup`, so that the file is in use for no longer than the copying takes.
        """
        if self.held.checkpoint is None:
            return None
        checkpoint, device, live = self.held.checkpoint, self._device, self._task.state_dict
        with opened_checkpoint(
            self._paths, checkpoint, device, self._cache, self._ranks, live
        ) as loaded:
            with user_code("load_state_dict"):
                self._task.load_state_dict(loaded["task"])
            random: dict[str, Any] | None = loaded["random"]
        return random if self.held.resumes else None

    def carries_on(self, held: Assignment) -> bool:
        """Whether this live state is what `held` starts from; then the session goes on with it."""
        if held is self.held:
            return True
        same = held.generation_id == self.held.generation_id and held.checkpoint == self.saved
        if same and self.step == held.step and held.total_steps == self.held.total_steps:
            self.held = held
            return True
        return False

    def train(self, n_steps: int, on_stretch: Callable[[], bool]) -> bool:
        """Trains up to `n_steps`; after each short stretch asks whether to go on. False: it broke
        off.
        """
        random_state.restore(self._random, self._device)
        target = self.step + n_steps
        goes_on = True
        while self.step < target and goes_on:
            self._stretch(min(target - self.step, self._stretch_steps()))
            goes_on = on_stretch()
        self._random = random_state.capture(self._device)
        return self.step == target  # then its report is due, whatever else is asked for

    def _stretch_steps(self) -> int:
        return max(1, int(STRETCH_S * self.steps_per_s))

    def follow(self, n_steps: int) -> None:
        """What the other ranks do while the first one trains a stretch."""
        random_state.restore(self._random, self._device)
        self._stretch(n_steps)
        self._random = random_state.capture(self._device)

    def _stretch(self, n_steps: int) -> None:
        begun_s = time.perf_counter()
        self._ranks.tell("stretch", n_steps)
        self._ranks.each(lambda: self._train(n_steps))
        elapsed_s = time.perf_counter() - begun_s
        self.step += n_steps
        self.train_s += elapsed_s
        self.steps_per_s = n_steps / max(elapsed_s, 1e-6)

    def _train(self, n_steps: int) -> None:
        with user_code("train"):
            self._task.train(n_steps)

    def evaluate(self) -> dict[str, Any]:
        """The fields of a report that an evaluation gives: value, metrics, diverged.

        All ranks evaluate; what the first one got counts.
        """
        self._ranks.tell("evaluate")
        return self._ranks.each(self._evaluate)[0]

    def _evaluate(self) -> dict[str, Any]:
        random_state.restore(self._random, self._device)
        with user_code("evaluate"):
            result = self._task.evaluate()
        if self._metric is None and isinstance(result, Mapping) and len(result) != 1:
            raise TaskError(  # no later evaluation can do better
                f"evaluate() of {self.held.generation_id} gave {sorted(result)}, and the "
                "experiment does not say which is the score; set metric= to one of them"
            )
        if self._needed and not isinstance(result, Mapping):
            raise TaskError(
                f"evaluate() of {self.held.generation_id} gave a {type(result).__name__}, but the "
                f"run's objectives and constraints are on {', '.join(self._needed)}; return a "
                "mapping with these"
            )
        score = read_score(result, self._metric, self._needed)
        self._random = random_state.capture(self._device)
        return {"value": score.value, "metrics": score.metrics, "diverged": score.diverged}

    def _scalars(self) -> dict[str, Any]:
        """What charts show beside the evaluation: speed, and the task's own `scalars()` if it has
        them.
        """
        own = getattr(self._task, "scalars", None)
        with user_code("scalars"):
            return {"steps_per_s": self.steps_per_s, **(own() if callable(own) else {})}

    def draft(self, **score: Any) -> Draft:
        """Begins to save this moment; training may go on while it is written. Raises TaskError."""
        generation, term = self.held.generation_id, self.held.term
        folder = self._paths.checkpoint(generation, self.step, term)
        self._ranks.tell("draft", folder)
        scalars = self.save(folder)
        params = self._paths.relative(folder)
        checkpoint = Checkpoint(generation, self.step, params=params, term=term)
        return Draft(checkpoint, round(self.train_s, 6), score, scalars)

    def save(self, folder: Path) -> dict[str, Any]:
        """Begins to save this rank's part of the checkpoint `folder`; returns the scalars."""
        with user_code("state_dict"):
            state, scalars = self._ranks.together(self._moment)
            self._saver.begin(folder, state)
        return scalars

    def _moment(self) -> tuple[dict[str, Any], dict[str, Any]]:
        with user_code("state_dict"):
            return {"task": self._task.state_dict(), "random": self._random}, self._scalars()

    def complete(self, draft: Draft) -> Reported:
        """What to record, once the checkpoint is durable. Raises DiskFull (then call again) and
        others.
        """
        self._ranks.tell("complete")
        saved = self._saver.wait()
        reach("worker.saved")
        size, digest = saved.size_bytes, saved.digest
        self.saved = replace(draft.checkpoint, size_bytes=size, digest=digest)
        return Reported(
            generation=self.saved.generation,
            step=self.saved.step,
            checkpoint=self.saved,
            train_s=draft.train_s,
            **draft.score,
        )


def check_takes_ranks(task: Any, ranks: Ranks) -> None:
    """Raises ConfigurationError where several ranks would train a task that knows of none."""
    if ranks.world_size > 1 and not getattr(task, "distributed", False):
        name = type(task).__name__
        raise ConfigurationError(
            f"{name}: {ranks.world_size} ranks were started for one member, but {name} does not "
            "say that it can be trained so; see docs/distributed.md and set distributed = True in "
            "it, or start one process a worker"
        )


def apply_hparams(task: Any, hparams: Any) -> None:
    """Applies hparams to a task that takes them so, and proves that they are in effect.

    Raises HparamsNotApplied where `effective_hparams()` shows another value than the one assigned.
    """
    if callable(getattr(task, "apply_hparams", None)):
        with user_code("apply_hparams"):
            task.apply_hparams(hparams)
    if not callable(getattr(task, "effective_hparams", None)):
        return
    with user_code("effective_hparams"):
        check_in_effect(task, hparams)
