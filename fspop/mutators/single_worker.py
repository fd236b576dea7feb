"""Population based training on one worker: tries a step up and a step down, then goes the better
way.
"""

import dataclasses
import inspect
import random
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, MutateFn, Mutator, MutatorState, View
from fspop.mutators.checks import check_count
from fspop.mutators.explore import CONDITIONAL_TRIES, usable
from fspop.mutators.ranking import rank
from fspop.objectives import Goal, Score
from fspop.records import Checkpoint, Point, check_plain
from fspop.seeds import Rng
from fspop.space import Space

BRANCHES = ("center", "pos", "neg")
FRUITLESS_PHASES = 10
"""After so many phases in a row without a healthy branch, nothing is tried any more."""


@dataclasses.dataclass(frozen=True)
class SingleWorkerExplore(Mutator):
    """A line search with one member (learned_optimization's BranchingSingleMachine).

    From one checkpoint the member trains `explore_steps` three times: with its hparams (center),
    with `mutate_fn(hparams, "pos", phase)` and with `mutate_fn(hparams, "neg", phase)`. The best of
    the three goes on from its last checkpoint for `exploit_steps`; then the next phase begins
    there. A branch's score is its first value at or after the end of its steps, whenever it comes.

    mutate_fn: called first with "pos", then with "neg"; `phase` counts from 0. A branch that
    diverged loses. Where all did, the next phase's steps are tried from the same checkpoint; after
    ten such phases the member trains on undisturbed. All branches count as the same steps of the
    run, so a phase trains 3 * explore_steps + exploit_steps to get explore_steps + exploit_steps
    ahead.
    """

    mutate_fn: MutateFn
    exploit_steps: int
    explore_steps: int

    def __post_init__(self) -> None:
        check_count(self.exploit_steps, "SingleWorkerExplore.exploit_steps", 1)
        check_count(self.explore_steps, "SingleWorkerExplore.explore_steps", 1)
        _check_function(self.mutate_fn)

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for more than one member, or a function that fails in the space."""
        if n_members != 1:
            raise InvalidSetting(f"SingleWorkerExplore: got {n_members} members; it works with 1")
        if space is None:
            return
        rng = random.Random(0)
        try:
            for _ in range(CONDITIONAL_TRIES if space.is_conditional else 1):
                hparams = space.sample(rng)
                for direction in BRANCHES[1:]:
                    result = self.mutate_fn(hparams, direction, 0)
                    usable(self.mutate_fn, result, hparams, space, rng)
        except Exception as error:  # user code: it may raise anything
            raise InvalidSetting(
                "SingleWorkerExplore.mutate_fn: it fails on hparams of the space: "
                f"{type(error).__name__}: {error}"
            ) from error

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where the function fails on `hparams`."""
        try:
            for direction in BRANCHES[1:]:
                result = self.mutate_fn(check_plain(hparams, "hparams"), direction, 0)
                usable(self.mutate_fn, result, hparams, space, random.Random(0))
        except Exception as error:  # user code: it may raise anything
            raise InvalidSetting(
                "SingleWorkerExplore.mutate_fn: it fails on the first hparams: "
                f"{type(error).__name__}: {error}"
            ) from error

    def init(self) -> MutatorState:
        """The first phase's center is in training and the checkpoint to branch from is to come.

        `doing` is center, pos, neg or exploit; `origin` the point it began at, `base` the hparams
        there; `ends` holds [generation, step, hparams] of the branches that are done, `scores`
        their scores.
        """
        fresh: MutatorState = {"ends": {}, "scores": {}, "fruitless": 0}
        return {"doing": "center", "phase": 0, "origin": None, "base": None, **fresh}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """Where a former line search stands; else from its first checkpoint on record."""
        return memory if isinstance(former, SingleWorkerExplore) else self.init()

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides when a branch is done."""
        me = view.members[0]
        ended = view.total_steps is not None and me.step >= view.total_steps
        if view.reported is None or me.status != "active" or ended:
            return state, []
        if state["origin"] is None and me.checkpoints:
            state = {**state, "origin": list(me.checkpoints[0].point), "base": me.hparams}
        if state["origin"] is None or state["fruitless"] >= FRUITLESS_PHASES:
            return state, []
        if state["doing"] == "exploit":
            return self._exploiting(state, view, me, rng)
        return self._exploring(state, view, me, rng)

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the branch or of the exploiting; None until there is a checkpoint."""
        if state["origin"] is None or state["fruitless"] >= FRUITLESS_PHASES:
            return None
        return self._due(state)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the branches began, and where those that are done ended."""
        ends = [Point(generation, step) for generation, step, _ in state["ends"].values()]
        return [*([Point(*state["origin"])] if state["origin"] else []), *ends]

    def _due(self, state: MutatorState) -> int:
        steps = self.exploit_steps if state["doing"] == "exploit" else self.explore_steps
        return int(state["origin"][1]) + steps

    def _exploring(
        self, state: MutatorState, view: View, me: MemberView, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        score, sick = self._outcome(state, me, view.goal)
        end = me.checkpoints[-1] if me.checkpoints else None
        if not sick and (score is None or end is None or end.step < self._due(state)):
            return state, []
        state = {**state, "scores": {**state["scores"], state["doing"]: None if sick else score}}
        if end is not None and not sick:
            state = {**state, "ends": {**state["ends"], state["doing"]: [*end.point, me.hparams]}}
        if state["doing"] == "neg":
            return self._compared(state, view, rng)
        return self._branch(state, view, rng, "pos" if state["doing"] == "center" else "neg")

    def _outcome(
        self, state: MutatorState, me: MemberView, goal: Goal
    ) -> tuple[Score | None, bool]:
        """(the first value at or after the end, whether it diverged before or at it)."""
        begun = int(state["origin"][1])
        for e in (e for e in me.evaluations if e.step > begun or e.step == me.start_step):
            if e.diverged:
                return None, True
            if e.value is not None and e.step >= self._due(state):
                return goal.score(e), False
        return None, False

    def _branch(
        self, state: MutatorState, view: View, rng: Rng, direction: str, why: str = ""
    ) -> tuple[MutatorState, list[Decision]]:
        phase, origin = state["phase"], Point(*state["origin"])
        result = self.mutate_fn(state["base"], direction, phase)
        hparams = usable(self.mutate_fn, result, state["base"], view.space, rng.member(0))
        reason = f"{why}phase {phase}: tries {direction} from step {origin.step}"
        return {**state, "doing": direction}, [Decision(0, origin, hparams, reason)]

    def _compared(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        order = rank({i: state["scores"].get(name) for i, name in enumerate(BRANCHES)}, view.goal)
        if not order:
            return self._nobody(
                state, view, rng, f"phase {state['phase']}: all branches diverged; "
            )
        best = BRANCHES[order[0]]
        generation, step, hparams = state["ends"][best]
        scores = {name: state["scores"].get(name) for name in BRANCHES}
        shown = ", ".join(f"{name} {_shown(score, view.goal)}" for name, score in scores.items())
        reason = f"phase {state['phase']}: {best} was best ({shown}), goes on"
        state = {
            **self.init(),
            "doing": "exploit",
            "phase": state["phase"],
            "origin": [generation, step],
            "base": hparams,
        }
        return state, [Decision(0, Point(generation, step), hparams, reason)]

    def _exploiting(
        self, state: MutatorState, view: View, me: MemberView, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        if any(e.diverged for e in me.evaluations):
            return self._nobody(state, view, rng, f"phase {state['phase']}: diverged; ")
        end: Checkpoint | None = me.checkpoints[-1] if me.checkpoints else None
        if end is None or end.step < self._due(state):
            return state, []
        begun = {"phase": state["phase"] + 1, "origin": list(end.point), "base": me.hparams}
        return {**self.init(), **begun}, []

    def _nobody(
        self, state: MutatorState, view: View, rng: Rng, why: str
    ) -> tuple[MutatorState, list[Decision]]:
        """Back to the origin, with the next phase's steps: its center is known to diverge."""
        known = {"phase": state["phase"] + 1, "fruitless": state["fruitless"] + 1}
        kept = {"origin": state["origin"], "base": state["base"], "scores": {"center": None}}
        return self._branch({**self.init(), **kept, **known}, view, rng, "pos", why)


def _shown(score: Score | None, goal: Goal) -> str:
    return "diverged" if score is None else goal.shown(score)


def _check_function(function: Any) -> None:
    where = "SingleWorkerExplore.mutate_fn"
    if not callable(function) or isinstance(function, type):
        raise InvalidSetting(f"{where}: got {function!r}; give a function")
    try:
        inspect.signature(function).bind(None, "pos", 0)
    except TypeError as error:
        raise InvalidSetting(
            f"{where}: got {inspect.signature(function)}; it must take (hparams, direction, phase)"
        ) from error
    except ValueError:
        return  # a builtin that does not say what it takes
