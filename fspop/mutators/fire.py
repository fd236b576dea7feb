"""FIRE population based training: a second sub-population is selected for how fast it improves."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, Mutator, MutatorState, View
from fspop.mutators.checks import check_count
from fspop.mutators.exploit import check_fraction
from fspop.mutators.explore import (
    Explore,
    Perturb,
    check_explore,
    check_space,
    explore,
    rehearse_explore,
)
from fspop.mutators.fire_curves import best_score_difference, overlap, p_above, smoothed
from fspop.mutators.fire_memory import numbers, with_scores
from fspop.mutators.ranking import rank
from fspop.mutators.rounds import Rounds, check_patience
from fspop.objectives import Score
from fspop.records import Point
from fspop.seeds import Rng
from fspop.space import Space

SIGNIFICANT = 0.01


@dataclasses.dataclass(frozen=True)
class FIRE(Mutator):
    """FIRE PBT (Dalibard and Jaderberg 2021, arXiv:2109.13800), synchronous; it is not greedy.

    sizes: how many members are P1, P2 and evaluators, in this order. P1 is plain truncation by the
    last score; the result of the run is its best. An evaluator copies the weights of the P2 member
    that waited longest and trains them with the hparams of P1's best, its child: so it shows what
    those weights are good for once the greedy hparams take over. Where its curve runs significantly
    above the child's, from the same score on, the child takes its weights and keeps its hparams.
    P2 is selected by truncation too, by how much the curves of its evaluators are above each other.

    interval: the steps of a round. fraction: of P1, and of P2, that copies. The task reports as
    metric "curve" the scores at the steps since its last report; without it the curve is one score
    per report. smoothing: so many of its values are averaged. start: no evaluators before this step
    (the interval). max_eval_steps: an evaluator gives up at this age where it has no overlap
    with its child, or is not clearly better (3 intervals). patience: see Rounds. With several
    objectives P1 is ranked by all of them; curves are those of the first one.
    """

    interval: int
    sizes: Sequence[int] = (8, 8, 6)
    _: dataclasses.KW_ONLY
    fraction: float = 0.25
    explore: Explore = dataclasses.field(default_factory=Perturb)
    start: int | None = None
    max_eval_steps: int | None = None
    smoothing: int = 1
    patience: int | None = None

    def __post_init__(self) -> None:
        check_count(self.interval, "FIRE.interval", 1)
        check_fraction(self.fraction, "FIRE.fraction")
        check_explore(self.explore, "FIRE.explore")
        check_count(self.smoothing, "FIRE.smoothing", 1)
        check_patience(self.patience, "FIRE")
        for field in ("start", "max_eval_steps"):
            value = getattr(self, field)
            if value is not None:
                check_count(value, f"FIRE.{field}", 1)
        if not isinstance(self.sizes, list | tuple) or len(self.sizes) != 3:
            raise InvalidSetting(f"FIRE.sizes: got {self.sizes!r}; give three, as (8, 8, 6)")
        for size, least in zip(self.sizes, (2, 2, 1), strict=True):
            check_count(size, "FIRE.sizes", least)
        object.__setattr__(self, "sizes", tuple(self.sizes))

    @property
    def rounds(self) -> Rounds:
        """The barrier."""
        return Rounds(self.interval, "steps", self.patience)

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting where the sizes do not add up, or there is no way to explore."""
        check_space(self.explore, "FIRE.explore", space)
        if n_members != sum(self.sizes):
            raise InvalidSetting(
                f"FIRE.sizes: got {self.sizes}, together {sum(self.sizes)}, for a population of "
                f"{n_members}; give as many members as the sizes add up to"
            )

    def rehearse(self, hparams: Any, space: Space | None) -> None:
        """Raises InvalidSetting where the function to explore with fails on `hparams`."""
        rehearse_explore(self.explore, f"{self.name}.explore", hparams, space)

    def init(self) -> MutatorState:
        """No round yet.

        `curves` holds by member the scores of its curve by the step they were reported at,
        `evaluations` by evaluator the P2 member and the child, `evaluated` by P2 member the curve
        of its evaluator, `waited` the round it was last given to one.
        """
        found: MutatorState = {"curves": {}, "evaluations": {}, "evaluated": {}, "waited": {}}
        return {**self.rounds.begin(), **found}

    def resume(self, view: View, former: Mutator, memory: MutatorState) -> MutatorState:
        """With the curves and evaluations of a former FIRE of the same sizes, else without any."""
        state = {**self.init(), **self.rounds.resume(view, former, memory)}
        if not isinstance(former, FIRE) or former.sizes != self.sizes:
            return state
        kept = ("curves", "evaluations", "evaluated", "waited")
        return {**state, **{name: memory[name] for name in kept}}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for all members of the round once the last one is ready, in whatever order."""
        rounds = self.rounds
        state = rounds.noticed(with_scores(state, view), view)
        if not rounds.over(state, view):
            return state, []
        scores = rounds.scores(state, view)
        if not rank(scores, view.goal):
            state, decisions = rounds.start_over(state, view, self.explore, rng)
            return {**state, "curves": {}, "evaluations": {}, "evaluated": {}}, decisions
        end = RoundEnd(self, state, view, scores, rng)
        end.decide()
        decisions = [end.new[i] for i in sorted(end.new)]
        return rounds.next({**state, **end.memory()}, view, decisions), decisions

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the round."""
        return self.rounds.train_until(state, view.members[member], view)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the round began, in case nobody survives it."""
        return self.rounds.keeps(state)


class RoundEnd:
    """What is decided at the end of one round. `new` are the decisions by member, so far.

    Everything here is as if higher scores were better: those to be minimised are negated.
    """

    def __init__(
        self, s: FIRE, state: MutatorState, view: View, scores: dict[int, Score | None], rng: Rng
    ):
        self.s, self.state, self.view, self.rng = s, state, view, rng
        self.number = state["round"] + 1
        self.sign = -1.0 if view.mode == "min" else 1.0
        self.scores = {i: self._signed(v) for i, v in scores.items()}
        self.first, self.second, self.evaluators = self._parts()
        self.new: dict[int, Decision] = {}
        self.curves: dict[str, dict[str, str]] = dict(state["curves"])
        self.evaluations: dict[str, dict[str, int]] = dict(state["evaluations"])
        self.evaluated: dict[str, str] = dict(state["evaluated"])
        self.waited: dict[str, int] = dict(state["waited"])

    def _signed(self, score: Score | None) -> Score | None:
        return score if score is None or isinstance(score, list) else self.sign * score

    def _rank(self, scores: Mapping[int, Score | None]) -> list[int]:
        vectors = any(isinstance(score, list) for score in scores.values())
        return rank(scores, self.view.goal if vectors else "max")

    def _parts(self) -> tuple[list[int], list[int], list[int]]:
        """Who takes part in this round: of P1, of P2, evaluators."""
        a, b, _ = self.s.sizes
        active = [i for i in sorted(self.scores) if self.view.members[i].status == "active"]
        first, second = [i for i in active if i < a], [i for i in active if a <= i < a + b]
        return first, second, [i for i in active if i >= a + b]

    def memory(self) -> MutatorState:
        """The part of the state that this round changed."""
        return {
            "curves": self.curves,
            "evaluations": self.evaluations,
            "evaluated": self.evaluated,
            "waited": self.waited,
        }

    def decide(self) -> None:
        """Fills `new`."""
        for name in list(self.evaluations):
            self._judge(int(name))
        self._truncate(self.first, {i: self.scores[i] for i in self.first})
        self._truncate(self.second, self._fitness())
        for name, job in list(self.evaluations.items()):
            if job["child"] in self.new or job["parent"] in self.new:
                del self.evaluations[name]
        for evaluator in self.evaluators:
            if str(evaluator) not in self.evaluations:
                self._assign(evaluator)

    def _curve(self, text: str | dict[str, str]) -> Sequence[float]:
        return smoothed([self.sign * v for v in numbers(text)], self.s.smoothing)

    def _healthy(self, i: int) -> bool:
        return self.scores.get(i) is not None

    # -- evaluators
    def _judge(self, evaluator: int) -> None:
        """Ends an evaluation that is decided, one way or the other."""
        job = self.evaluations[str(evaluator)]
        child, m = job["child"], self.view.members[evaluator]
        gone = child not in self.first or job["parent"] not in self.second
        if gone or not self._healthy(evaluator):
            del self.evaluations[str(evaluator)]
            return
        chunks = self.curves.get(str(evaluator), {})
        self.evaluated[str(job["parent"])] = ",".join(chunks[at] for at in sorted(chunks, key=int))
        mine, theirs = self._curve(chunks), self._curve(self.curves.get(str(child), {}))
        age, limit = m.step - job["begun"], self.s.max_eval_steps or 3 * self.s.interval
        over_mine, over_theirs = overlap(mine, theirs)
        p = p_above(over_mine, over_theirs) if over_mine else None
        better = p is not None and p < SIGNIFICANT and best_score_difference(mine, theirs) > 0
        if better and child not in self.new:
            self._succeed(evaluator, child, p or 0.0)
        lost = age >= limit if p is None else p > SIGNIFICANT + max(0.0, 1 - age / limit)
        if better or lost:
            del self.evaluations[str(evaluator)]

    def _succeed(self, evaluator: int, child: int, p: float) -> None:
        m = self.view.members[evaluator]
        source = m.checkpoints[-1].point
        reason = (
            f"round {self.number}: evaluator {evaluator} is above it (p = {p:.2g}); takes its "
            f"weights at step {source.step} and keeps its hparams"
        )
        self.new[child] = Decision(child, source, self.view.members[child].hparams, reason)
        self.curves[str(child)] = self.curves.get(str(evaluator), {})
        self.scores[child] = self.scores[evaluator]

    def _assign(self, evaluator: int) -> None:
        """Gives the evaluator the P2 member that waited longest, and P1's best as its child."""
        busy = {job["parent"] for job in self.evaluations.values()}
        free = [i for i in self.second if i not in busy and self._healthy(i)]
        children = self._rank({i: self.scores[i] for i in self.first if i not in self.new})
        start = self.s.interval if self.s.start is None else self.s.start
        begun = self.view.members[evaluator].step >= start
        if not (begun and free and children):
            if not self._healthy(evaluator):
                self._replace(evaluator, self._rank(self.scores)[:1], "diverged or failed")
            return
        parent = min(free, key=lambda i: (i in self.new, self.waited.get(str(i), -1), i))
        child, source = children[0], self._source(parent)
        reason = (
            f"round {self.number}: evaluates member {parent} from step {source.step} with the "
            f"hparams of member {child}"
        )
        hparams = self.view.members[child].hparams
        self.new[evaluator] = Decision(evaluator, source, hparams, reason)
        self.curves[str(evaluator)] = {}
        self.waited[str(parent)] = self.number
        job = {"parent": parent, "child": child, "begun": source.step}
        self.evaluations[str(evaluator)] = job

    # -- P1 and P2
    def _fitness(self) -> dict[int, Score | None]:
        """By evaluated P2 member, how far its evaluator's curve is above those of the others."""
        curves = {
            i: self._curve(self.evaluated[str(i)])
            for i in self.second
            if str(i) in self.evaluated and self._healthy(i)
        }
        return {
            i: math.fsum(
                best_score_difference(curve, other) for j, other in curves.items() if j != i
            )
            for i, curve in curves.items()
        }

    def _truncate(self, part: list[int], fitness: dict[int, Score | None]) -> None:
        """The worst of one sub-population copy its best, if enough of it can be compared."""
        order = self._rank({i: v for i, v in fitness.items() if i not in self.new})
        sick = [i for i in part if not self._healthy(i)]
        band = max(1, math.floor(self.s.fraction * len(part) + 1e-9))
        best = order[:band] or [i for i in part if self._healthy(i)][:1]
        best = best or self._rank(self.scores)[:1]
        low = order[len(order) - band + len(sick) :] if len(sick) < band else []
        if len(order) >= 2 * band:
            for i in low:
                self._replace(i, best, f"ranked {order.index(i) + 1} of {len(order)}")
        for i in sick:
            sign = self.s.rounds.divergence(self.state, self.view.members[i])
            self._replace(i, best, sign or "failed")

    def _replace(self, i: int, best: list[int], why: str) -> None:
        donor = self.rng.member(i, "exploit").choice(best)
        source, given = self._source(donor), self.view.members[donor].hparams
        hparams = explore(self.s.explore, given, self.view.space, self.rng.member(i))
        reason = f"round {self.number}: {why}; copies member {donor} at step {source.step}"
        self.new[i] = Decision(i, source, hparams, f"{reason} and explores")
        self.curves[str(i)] = {}
        self.evaluated.pop(str(i), None)

    def _source(self, i: int) -> Point:
        """The weights member `i` goes on with."""
        decided = self.new.get(i)
        if decided is not None and decided.source is not None:
            return decided.source
        return self.view.members[i].checkpoints[-1].point
