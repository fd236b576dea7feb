"""Small strategies for the tests of the controller, each with one trait."""

import dataclasses

from fspop.mutators.base import Decision, Mutator
from fspop.records import Point


@dataclasses.dataclass(frozen=True)
class Nothing(Mutator):
    """Never decides."""

    def update(self, state, view, rng):
        return state, []


@dataclasses.dataclass(frozen=True)
class CopyBest(Mutator):
    """A barrier every `interval` steps: then all start from the best one's newest checkpoint."""

    interval: int = 10

    def init(self):
        return {"rounds": 0}

    def update(self, state, view, rng):
        members = [m for m in view.members if m.status != "failed"]
        ready = [m for m in members if m.latest and m.step - m.start_step >= self.interval]
        if len(ready) < len(members):
            return state, []
        scored = [m for m in members if m.latest.value is not None and m.checkpoints]
        if not scored:
            return state, []
        sign = 1 if view.mode == "min" else -1
        best = min(scored, key=lambda m: (sign * m.latest.value, m.index))
        decisions = [
            Decision(
                m.index,
                best.checkpoints[-1].point,
                {"lr": rng.member(m.index).random()} if m is not best else best.hparams,
                f"member {best.index} won",
            )
            for m in members
        ]
        return {"rounds": state["rounds"] + 1}, decisions

    def train_until(self, state, view, member):
        return view.members[member].start_step + self.interval


@dataclasses.dataclass(frozen=True)
class Raises(Mutator):
    """Raises in the method named, from the given step on."""

    method: str = "update"
    until: int = 10**9

    def update(self, state, view, rng):
        self.boom("update", view)
        return {"seen": max(m.step for m in view.members)}, []

    def train_until(self, state, view, member):
        self.boom("train_until", view)

    def keeps(self, state):
        if self.method == "keeps" and state:
            raise RuntimeError("keeps is broken")
        return []

    def on_poll(self, state, view, rng):
        self.boom("on_poll", view)
        return state, []

    def boom(self, method, view):
        if method == self.method and 0 < max(m.step for m in view.members) < self.until:
            raise RuntimeError(f"{method} is broken")


@dataclasses.dataclass(frozen=True)
class Decides(Mutator):
    """Returns, at every report, what its function makes of the view."""

    decide: object = None

    def update(self, state, view, rng):
        return state, self.decide(view)

    def settings(self):
        return {}


@dataclasses.dataclass(frozen=True)
class Meddles(Mutator):
    """Modifies everything it is given, against the rules."""

    def init(self):
        return {"list": [1], "nested": {"a": 1}}

    def update(self, state, view, rng):
        state["list"].append(2)
        state["nested"]["b"] = 2
        view.members[0].hparams["lr"] = "meddled"
        return state, []


@dataclasses.dataclass(frozen=True)
class OnPoll(Mutator):
    """Restarts member 0 with new hparams at the first poll after step 5."""

    def update(self, state, view, rng):
        return state, []

    def on_poll(self, state, view, rng):
        member = view.members[0]
        if member.step < 5 or state.get("done"):
            return state, []
        at = Point(*member.checkpoints[-1].point)
        return {"done": True}, [Decision(0, at, {"lr": 7.0}, "polled")]
