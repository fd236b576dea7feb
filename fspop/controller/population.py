"""PopulationController: the only writer of a run's log, in one process, in threads, across
machines.
"""

import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fspop
from fspop.controller.assignment import Assignment, assignment
from fspop.controller.decide import Rules, mutator_ops, report_ops, with_consequences
from fspop.controller.effective import Effective, InEffect
from fspop.controller.score import Score, read_score
from fspop.controller.stopwatch import Stopwatch
from fspop.errors import InvalidId, InvalidSetting, NotARun, RunExists
from fspop.mutators.base import Mutator
from fspop.mutators.described import Find
from fspop.objectives import Goal, goal_of, objectives_of
from fspop.paths import RunPaths
from fspop.records import (
    FORMAT,
    AnyOp,
    Born,
    Checkpoint,
    Created,
    Manifest,
    Member,
    MutatorChanged,
    MutatorFailed,
    Point,
    Reported,
    State,
    check_plain,
    parse_generation_id,
)
from fspop.space import Space
from fspop.storage import Log, MemoryLog, create_run, open_log, read_manifest

log = logging.getLogger("fspop.controller")


class PopulationController:
    """Members, their generations, and what the mutator makes of their evaluations.

    The controller is no process: every caller's object folds the same log, and whoever reports also
    decides. `PopulationController(initial_population, mutator, log_dir)` is the population
    library's controller: worker i trains member i through `maybe_get_worker_data` and `set_eval`.
    `objectives`, `constraints` and `ranking` are those of an Experiment; then a `set_eval` names
    them all, in a mapping given as `value` or in `metrics`.
    Without `log_dir` everything stays in memory. If `log_dir` already holds a run, that state wins
    and `initial_population` is ignored. `open` and `create` work on run directories with a
    manifest.

    Objects may be shared by threads. Every call reads the newest state first.
    """

    def __init__(
        self,
        initial_population: Sequence[Any],
        mutator: Mutator,
        log_dir: str | Path | None = None,
        *,
        mode: str = "min",
        seed: int = 0,
        space: Space | None = None,
        objectives: Mapping[str, str] | None = None,
        constraints: Sequence[str] = (),
        ranking: str = "crowding",
    ):
        hparams = [
            check_plain(h, f"hparams of member {i}") for i, h in enumerate(initial_population)
        ]
        if not hparams:
            raise InvalidSetting(
                "initial_population: got no members; give the hparams of at least one"
            )
        if not isinstance(mutator, Mutator):
            raise InvalidSetting(
                f"mutator: got {mutator!r}, but it must be an object of fspop.mutators, such as "
                "WinnerTakeAllGenetic(mutate_fn, steps_per_exploit=100)"
            )
        if mode not in ("min", "max"):
            raise InvalidSetting(f'mode: got {mode!r}, but it must be "min" or "max"')
        mutator.check(len(hparams), space)
        hparams = [mutator.first_hparams(h) for h in hparams]
        goal = Goal(mode, objectives or {}, constraints, ranking)
        manifest = new_manifest(
            hparams,
            mutator,
            mode=next(iter(goal.objectives.values()), mode),
            seed=seed,
            space=space,
            metric=next(iter(goal.objectives), None),
            objectives=dict(goal.objectives),
            constraints=list(goal.constraints),
            ranking=ranking,
        )
        if log_dir is None:
            self._begin(manifest, mutator, space, MemoryLog())
            return
        paths = RunPaths(log_dir)
        manifest = _found_or_created(paths, manifest)
        self._begin(manifest, mutator, space, open_log(paths, manifest))

    @classmethod
    def create(
        cls, root: str | Path, manifest: Manifest, mutator: Mutator, space: Space | None = None
    ) -> "PopulationController":
        """Makes `root` a run. Raises RunExists, NotWritable or DiskFull."""
        create_run(RunPaths(root), manifest)
        return cls.open(root, mutator, space)

    @classmethod
    def open(
        cls,
        root: str | Path,
        mutator: Mutator,
        space: Space | None = None,
        find: Find | None = None,
    ) -> "PopulationController":
        """The controller of an existing run. Raises NotARun, UnknownFormat or Damaged.

        mutator: the strategy it was made with; `find` gives what its code calls by other names,
        should a person have changed the strategy since.
        """
        paths = RunPaths(root)
        manifest = read_manifest(paths)
        return cls.on_log(manifest, mutator, space, open_log(paths, manifest), find)

    @classmethod
    def on_log(
        cls,
        manifest: Manifest,
        mutator: Mutator,
        space: Space | None,
        log: Log,
        find: Find | None = None,
    ) -> "PopulationController":
        """A controller over any log, e.g. a `MemoryLog` shared with others."""
        self = cls.__new__(cls)
        self._begin(manifest, mutator, space, log, find)
        return self

    def _begin(
        self,
        manifest: Manifest,
        mutator: Mutator,
        space: Space | None,
        log: Log,
        find: Find | None = None,
    ) -> None:
        self.manifest = manifest
        self.log = log
        self.stopwatch = Stopwatch()
        self._mutator = mutator
        self.effective = Effective(manifest, mutator, space, find)
        if self.log.refresh().seq == 0:
            self.log.commit("init", self._first_ops)

    def _first_ops(self, state: State) -> list[AnyOp]:
        if state.seq > 0:
            return []
        births = [Born(i, 1, h, reason="first") for i, h in enumerate(self.manifest.hparams)]
        memory = check_plain(self._mutator.init(), "mutator state")
        changed = [MutatorChanged(set=[([key], value) for key, value in memory.items()])]
        m = self.manifest
        created = Created(len(births), m.mode, m.keep_best, objectives_of(m))
        return [created, *births, *(changed if memory else [])]

    @property
    def state(self) -> State:
        """The newest state, read from the log."""
        return self.log.refresh()

    def in_effect(self, state: State) -> InEffect:
        """The settings and rules at `state`: those of the manifest, and what people changed."""
        return self.effective.at(state)

    def rules(self, state: State) -> Rules:
        """What decisions depend on beside `state`."""
        return self.effective.at(state).rules

    def change(self, asked: Mapping[str, Any], by: str, reason: str = "") -> State:
        """Changes settings of the run under way, by dotted key: `{"mutator.interval": 200}`, or
        `{"mutator": "TruncationSelection", "mutator.interval": 200}` for another strategy.

        One record, with who (`by`, as user@host), when and why; from there on every process decides
        by it. Raises UsageError and InvalidSetting, and then nothing is written.
        """
        from fspop.controller.changing import change_ops

        def build(state: State) -> list[AnyOp]:
            return change_ops(state, self.effective, asked, by, reason)

        return self.log.commit("set", build).state

    # -- the two calls of the population library
    def maybe_get_worker_data(
        self,
        worker_id: int,
        generation_id: str | None,
        step: int,
        params: Any = None,
        meta_params: Any = None,
    ) -> Assignment | None:
        """What worker `worker_id` should train, or None: carry on with what it presents.

        Answers come from the newest state; a strategy with a poll hook may decide in here.

        A worker that begins (or began again) presents None or "". One that presents a generation
        nobody issued is reset; one whose generation was replaced registers where it got to
        (`step`, `params`) and gets its member's current assignment. Raises InvalidId for a
        worker id without a member.
        """
        del meta_params  # the generation's hparams are on record; accepted as the library does
        state = self.poll()
        member = self._member(worker_id, state)
        self.stopwatch.seconds(member.generation)
        if generation_id in (None, ""):
            return assignment(member)
        if generation_id == member.generation.id:
            return None
        if not _was_issued(state, generation_id):
            log.warning(
                "worker %s presents unknown generation %r; it is reset", worker_id, generation_id
            )
            return assignment(member)
        self._register(str(worker_id), str(generation_id), step, params)
        return assignment(member)

    def set_eval(
        self,
        worker_id: int,
        generation_id: str,
        step: int,
        params: Any,
        value: Any = None,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """Records that a generation reached `step` with `params` and scored `value`; then decides.

        Durable when it returns. `value` None registers a checkpoint whose score comes later,
        perhaps from another process; `params` None gives only a score. A generation nobody issued
        is ignored with a warning. The same step again replaces the score. Non-finite and
        non-numeric values are recorded as diverged and never win. Training seconds are counted from
        this object's first look at the generation, on top of those recorded before.
        """
        state = self.log.refresh()
        if not _was_issued(state, generation_id):
            log.warning("evaluation of unknown generation %r ignored", generation_id)
            return
        current = next(
            (m.generation for m in state.members if m.generation.id == generation_id), None
        )
        train_s = self.stopwatch.seconds(current) if current else None
        score = self._read_score(value, metrics or {})
        report = self._read_report(generation_id, step, params, score, train_s)
        self.log.commit(str(worker_id), lambda state: report_ops(state, self.rules(state), report))

    def _read_score(self, value: Any, metrics: dict[str, Any]) -> Score:
        named = read_score(metrics).metrics
        if value is None:
            return Score(None, "", named)
        needed = goal_of(self.manifest).needed
        if not needed:
            return read_score(value)._replace(metrics=named)
        name = self.manifest.metric or "value"
        given = value if isinstance(value, Mapping) else {name: value}
        return read_score({**metrics, **given}, name, needed)

    @staticmethod
    def _read_report(
        generation_id: str,
        step: int,
        params: Any,
        score: Score,
        train_s: float | None,
    ) -> Reported:
        _check_step(step)
        plain = _plain_params(params)
        return Reported(
            generation=generation_id,
            step=step,
            value=score.value,
            diverged=score.diverged,
            metrics=score.metrics,
            checkpoint=Checkpoint(generation_id, step, plain) if plain is not None else None,
            train_s=train_s,
        )

    def poll(self) -> State:
        """The newest state, after the mutator's poll hook where the strategy has one."""
        state = self.log.refresh()
        hook = type(self.rules(state).mutator).on_poll
        if hook is Mutator.on_poll or not self._poll_ops(state):
            return state
        return self.log.commit("poll", self._poll_ops).state

    def _poll_ops(self, state: State) -> list[AnyOp]:
        rules = self.rules(state)
        ops = mutator_ops(state, rules, poll=True)
        if isinstance(ops[0] if ops else None, MutatorFailed) and state.mutator_error:
            return []  # known to fail: a record for every poll would say no more
        return with_consequences(state, rules, ops) if ops else []

    def _member(self, worker_id: int, state: State) -> Member:
        if not isinstance(worker_id, int) or not 0 <= worker_id < len(state.members):
            raise InvalidId(
                f"worker id: got {worker_id!r}, but this population has members "
                f"0 to {len(state.members) - 1}"
            )
        return state.members[worker_id]

    def _register(self, worker: str, generation_id: str, step: int, params: Any) -> None:
        _check_step(step)
        plain = _plain_params(params)
        checkpoint = Checkpoint(generation_id, step, plain) if plain is not None else None
        report = Reported(generation_id, step, checkpoint=checkpoint, registered=True)

        def build(state: State) -> list[AnyOp]:
            member = parse_generation_id(generation_id)
            assert member is not None
            known = state.members[member[0]].presented == Point(generation_id, step)
            return [] if known else [report]

        self.log.commit(worker, build)


def new_manifest(
    hparams: list[Any],
    mutator: Mutator,
    *,
    mode: str,
    seed: int,
    space: Space | None = None,
    **settings: Any,
) -> Manifest:
    """The manifest of a new run with a random run id; `settings` are further fields of Manifest."""
    return Manifest(
        format=FORMAT,
        run=os.urandom(6).hex(),
        members=len(hparams),
        mode=mode,
        seed=seed,
        hparams=hparams,
        mutator={"name": mutator.name, "settings": mutator.settings()},
        fspop=fspop.__version__,
        created_at=round(time.time(), 3),
        space=space.to_data() if space else {},
        **settings,
    )


def _found_or_created(paths: RunPaths, manifest: Manifest) -> Manifest:
    """The manifest of the run at `paths`, made from `manifest` where there was none. Any number of
    processes may do this at once.
    """
    try:
        return read_manifest(paths)
    except NotARun:
        pass
    with contextlib.suppress(RunExists):
        create_run(paths, manifest)
    return read_manifest(paths)


def _check_step(step: Any) -> None:
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise InvalidSetting(f"step: got {step!r}, but it must be a whole number of at least 0")


def _plain_params(params: Any) -> Any:
    if isinstance(params, os.PathLike):
        return os.fsdecode(params)
    return check_plain(params, "params")


def _was_issued(state: State, generation_id: object) -> bool:
    """Whether this generation exists or ever did."""
    parsed = parse_generation_id(generation_id)
    if parsed is None or parsed[0] >= len(state.members):
        return False
    return 1 <= parsed[1] < state.members[parsed[0]].next_index
