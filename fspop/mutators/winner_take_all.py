"""Winner takes all: in rounds, the best member's weights go to all others, hparams mutated."""

import dataclasses

from fspop.errors import InvalidSetting
from fspop.mutators.base import Decision, MemberView, MutateFn, Mutator, MutatorState, View
from fspop.mutators.checks import check_count, check_flag, check_seconds
from fspop.mutators.explore import Perturb, check_explore, check_space, explore, resampled
from fspop.mutators.ranking import rank
from fspop.records import Point
from fspop.seeds import Rng
from fspop.space import Space

FRUITLESS_ROUNDS = 10
"""After so many rounds in a row without a healthy member, nothing is restarted any more."""


@dataclasses.dataclass(frozen=True)
class WinnerTakeAllGenetic(Mutator):
    """The genetic strategy of the population library (learned_optimization), synchronous.

    A round ends when each of its members has trained the interval, has a score at or after its end,
    and a checkpoint. The best one's latest checkpoint goes to the others with mutated hparams; it
    goes on from there itself, in a new generation with its own hparams.

    mutate_fn: `f(hparams)` or `f(hparams, rng)`, or a Perturb; None perturbs in the run's space.
    steps_per_exploit, seconds_per_exploit: exactly one of them; seconds are seconds of training.
    average_over_samples: a score is the mean of the values from the end of the interval on (at most
    the newest 64), else the last value. mutate_winner: the winner's hparams are mutated too.

    A member that diverged in this round holds at once and is replaced when the round ends. One that
    failed or finished is not waited for. Where nobody is healthy, each member goes back to where
    its round began, with new hparams, up to ten rounds in a row; then all train on undisturbed, so
    that the run ends.
    """

    mutate_fn: MutateFn | Perturb | None = None
    steps_per_exploit: int | None = None
    seconds_per_exploit: float | None = None
    average_over_samples: bool = True
    mutate_winner: bool = False

    def __post_init__(self) -> None:
        if (self.steps_per_exploit is None) == (self.seconds_per_exploit is None):
            raise InvalidSetting(
                "WinnerTakeAllGenetic: got steps_per_exploit="
                f"{self.steps_per_exploit!r} and seconds_per_exploit={self.seconds_per_exploit!r}; "
                "give exactly one of them"
            )
        if self.steps_per_exploit is not None:
            check_count(self.steps_per_exploit, "WinnerTakeAllGenetic.steps_per_exploit", 1)
        else:
            check_seconds(self.seconds_per_exploit, "WinnerTakeAllGenetic.seconds_per_exploit")
        check_flag(self.average_over_samples, "WinnerTakeAllGenetic.average_over_samples")
        check_flag(self.mutate_winner, "WinnerTakeAllGenetic.mutate_winner")
        check_explore(self._rule, "WinnerTakeAllGenetic.mutate_fn")

    @property
    def _rule(self) -> MutateFn | Perturb:
        return Perturb() if self.mutate_fn is None else self.mutate_fn

    def check(self, n_members: int, space: Space | None) -> None:
        """Raises InvalidSetting for one member, which would never change, or no way to mutate."""
        check_space(self._rule, "WinnerTakeAllGenetic.mutate_fn", space)
        if n_members < 2 and not self.mutate_winner:
            raise InvalidSetting(
                f"WinnerTakeAllGenetic: got a population of {n_members}, whose only member always "
                "wins; give at least 2 members, or mutate_winner=True"
            )

    def init(self) -> MutatorState:
        """No round yet: its members are fixed at the first report.

        `due` holds the step at which a member's seconds were over, `origins` where each member's
        round began, `fruitless` the rounds in a row that nobody survived.
        """
        return {"round": 0, "participants": [], "due": {}, "origins": {}, "fruitless": 0}

    def update(
        self, state: MutatorState, view: View, rng: Rng
    ) -> tuple[MutatorState, list[Decision]]:
        """Decides for all members of the round once the last one is ready, in whatever order."""
        state = self._noticed(state, view)
        members = [
            m for m in view.members if m.index in state["participants"] and not _ended(m, view)
        ]
        if not members or state["fruitless"] >= FRUITLESS_ROUNDS:
            return state, []
        if not all(_sick(m) or self._ready(state, m) for m in members):
            return state, []
        scores = {m.index: None if _sick(m) else self._score(state, m) for m in members}
        order = rank(scores, view.mode)
        if order:
            decisions = self._spread(state, view, members, scores, order[0], rng)
        else:
            decisions = self._start_over(state, view, members, rng)
        return _next_round(state, view, decisions, fruitless=not order), decisions

    def train_until(self, state: MutatorState, view: View, member: int) -> int | None:
        """The end of the member's interval; where it stands, if it diverged or its time is over."""
        m = view.members[member]
        if state["fruitless"] >= FRUITLESS_ROUNDS:
            return None
        return m.step if _sick(m) else self._due(state, m)

    def keeps(self, state: MutatorState) -> list[Point]:
        """Where the round began, in case nobody survives it."""
        return sorted({Point(*origin) for origin in state["origins"].values()})

    def _due(self, state: MutatorState, m: MemberView) -> int | None:
        if self.steps_per_exploit is not None:
            return m.start_step + self.steps_per_exploit
        due: int | None = state["due"].get(str(m.index))
        return due

    def _noticed(self, state: MutatorState, view: View) -> MutatorState:
        """The state with this round's members, and with the steps at which seconds were over."""
        if not state["participants"]:
            state = {**state, "participants": _participants(view)}
        if self.seconds_per_exploit is None:
            return state
        over = {str(m.index): m.step for m in view.members if m.train_s >= self.seconds_per_exploit}
        return {**state, "due": {**over, **state["due"]}}

    def _values(self, state: MutatorState, m: MemberView) -> list[float]:
        due = self._due(state, m)
        if due is None:
            return []
        return [e.value for e in m.evaluations if e.step >= due and e.value is not None]

    def _ready(self, state: MutatorState, m: MemberView) -> bool:
        return bool(self._values(state, m)) and bool(m.checkpoints)

    def _score(self, state: MutatorState, m: MemberView) -> float:
        values = self._values(state, m)
        if not self.average_over_samples:
            return values[-1]
        return sum(value / len(values) for value in values)  # huge ones must not sum up to inf

    def _spread(
        self,
        state: MutatorState,
        view: View,
        members: list[MemberView],
        scores: dict[int, float | None],
        best: int,
        rng: Rng,
    ) -> list[Decision]:
        winner = view.members[best]
        source = winner.checkpoints[-1].point
        won = f"round {state['round']}: member {best} won with {scores[best]:.6g}"
        decisions = []
        for m in (m for m in members if m.status == "active"):
            if m.index != best:
                reason = f"{won}; {_standing(m, scores[m.index])}, so copies it and mutates"
            else:
                reason = f"{won}; goes on{', mutated' if self.mutate_winner else ' unchanged'}"
            hparams = winner.hparams
            if m.index != best or self.mutate_winner:
                hparams = explore(self._rule, hparams, view.space, rng.member(m.index))
            decisions.append(Decision(m.index, source, hparams, reason))
        return decisions

    def _start_over(
        self, state: MutatorState, view: View, members: list[MemberView], rng: Rng
    ) -> list[Decision]:
        rule = resampled(self._rule)
        decisions = []
        for m in (m for m in members if m.status == "active"):
            source = _origin(state, m)
            where = f"{source.generation} at step {source.step}" if source else "nothing"
            reason = (
                f"round {state['round']}: nobody is healthy; {_standing(m, None)}, so starts over "
                f"from {where} with new hparams"
            )
            hparams = explore(rule, m.hparams, view.space, rng.member(m.index))
            decisions.append(Decision(m.index, source, hparams, reason))
        return decisions


def _participants(view: View) -> list[int]:
    return [m.index for m in view.members if m.status == "active" and not _ended(m, view)]


def _next_round(
    state: MutatorState, view: View, decisions: list[Decision], *, fruitless: bool
) -> MutatorState:
    born = {str(d.member): list(d.source) for d in decisions if d.source is not None}
    return {
        "round": state["round"] + 1,
        "participants": _participants(view),
        "due": {},
        "origins": born,
        "fruitless": state["fruitless"] + 1 if fruitless else 0,
    }


def _ended(m: MemberView, view: View) -> bool:
    """Whether the member is at its end: it takes no new hparams and gives no weights."""
    return m.status == "finished" or (view.total_steps is not None and m.step >= view.total_steps)


def _sick(m: MemberView) -> bool:
    """Any divergence counts, not only the newest: what it is must not depend on arrival order."""
    return m.status == "failed" or any(e.diverged for e in m.evaluations)


def _standing(m: MemberView, score: float | None) -> str:
    if score is not None:
        return f"this one had {score:.6g}"
    sign = next((e for e in m.evaluations if e.diverged), None)
    return f"this one diverged at step {sign.step} ({sign.diverged})" if sign else "this one failed"


def _origin(state: MutatorState, m: MemberView) -> Point | None:
    """Where the member's generation started from, as far as it can still be started from."""
    if str(m.index) in state["origins"]:
        return Point(*state["origins"][str(m.index)])
    if not m.checkpoints:
        return m.restart.point if m.restart else None
    return m.checkpoints[0].point if m.start_step > 0 else None  # the strategy changed in mid-run
