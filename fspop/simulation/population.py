"""A population in memory: the real controller, mutator and records; its members take turns."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from fspop.controller import PopulationController, new_manifest
from fspop.controller.decide import report_ops
from fspop.errors import FspopError
from fspop.experiment import Experiment
from fspop.experiment_code.describe import settings
from fspop.problems import Problem, Trained
from fspop.records import Checkpoint, Generation, Record, Reported, State
from fspop.simulation.toy import Toy, metrics, task_seed
from fspop.storage import MemoryLog, MemoryStore
from fspop.storage.codec import decode


class Simulation:
    """Trains an experiment made by `toy_experiment` without processes, files or waiting.

    A step counts as one second of training. A synchronous strategy decides here what it decides for
    real workers, to the last bit. `state` is the newest one.
    """

    def __init__(self, experiment: Experiment):
        assert isinstance(experiment.task, Toy)
        self.experiment = experiment
        self.problem: Problem = experiment.task.problem
        self._store = MemoryStore()
        self._manifest = new_manifest(
            experiment.first_hparams(),
            experiment.mutator,
            mode=experiment.mode,
            seed=experiment.seed,
            space=experiment.domains,
            **settings(experiment),
        )
        self.open(experiment)

    def open(self, experiment: Experiment) -> None:
        """As another process finds the run: a state folded from the records, nothing else."""
        self.controller = PopulationController.on_log(
            self._manifest, experiment.mutator, experiment.domains, MemoryLog(self._store)
        )
        self.state: State = self.controller.state

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        order: random.Random | None = None,
    ) -> None:
        """Trains all members to their end, or until `until` says so; `order` shuffles the turns.

        Raises FspopError where the strategy fails, or holds everybody for ever.
        """
        while not until() and any(m.status == "active" for m in self.state.members):
            members = list(range(len(self.state.members)))
            if order is not None:
                order.shuffle(members)
            limits = self.controller.rules(self.state).limits(self.state)
            if not any([self.turn(member, limits[member]) for member in members]):
                raise FspopError(f"{self.experiment.mutator.name}: it holds all members for ever")

    def solved(self) -> bool:
        """Whether some report is above the score that solves the problem, where one does."""
        best, enough = self.state.best, self.problem.solved
        if best is None or enough is None:
            return False
        return (best.evaluation.value or 0.0) > enough

    def turn(self, member: int, limit: int | None) -> bool:
        """Trains one member to its next report; False where it waits or is done."""
        generation = self.state.members[member].generation
        if self.state.members[member].status != "active":
            return False
        if limit is not None and generation.step >= limit:
            return False
        following = generation.step + self.experiment.report_every
        stop = following if limit is None else min(following, limit)
        self.report(generation, stop, self._trained(generation, stop))
        return True

    def _trained(self, generation: Generation, stop: int) -> Trained:
        seed = task_seed(self.experiment.seed, generation.member, generation.index)
        restart = generation.restart
        params = restart.params if restart else self.problem.begin(generation.member)
        return self.problem.train(params, generation.hparams, stop - generation.step, seed)

    def report(self, generation: Generation, step: int, done: Trained, diverged: str = "") -> None:
        """Commits what training led to, with the decisions that follow. `diverged`: why its score
        does not count.
        """
        report = Reported(
            generation=generation.id,
            step=step,
            value=None if diverged else done.value,
            metrics=metrics(self.problem, step, done),
            diverged=diverged,
            checkpoint=Checkpoint(generation.id, step, done.params),
            train_s=float(step - generation.start_step),
        )
        rules = self.controller.rules(self.state)
        worker = str(generation.member)
        committed = self.controller.log.commit(worker, lambda s: report_ops(s, rules, report))
        self.state = committed.state
        if self.state.mutator_error:
            raise FspopError(f"{self.experiment.mutator.name}: {self.state.mutator_error}")

    def records(self) -> Iterator[Record]:
        """Every record from the first on."""
        for seq, raw in enumerate(self._store.records):
            yield decode(raw, Record, Path(f"memory/{seq}"))
