"""Simulated populations to which tests do things."""

import copy

import msgspec

from fspop.controller.decide import mutator_ops, with_consequences
from fspop.records import Born, MemberFailed
from fspop.simulation import Simulation, final_best, toy_experiment
from fspop.storage.fold import apply

__all__ = ["Played", "final_best", "run"]


class Played(Simulation):
    """`spoil(member, step)` says why a score does not count; `restarted`: a new controller and a
    new strategy, from the records alone, before each turn.
    """

    def __init__(self, experiment, spoil=None, restarted=False, between=None):
        super().__init__(experiment)
        self.spoil, self.restarted, self.between = spoil, restarted, between

    @property
    def events(self):
        """Every Born after the first ones, in order."""
        born = [op for record in self.records() for op in record.ops if isinstance(op, Born)]
        return born[len(self.state.members) :]

    def generation(self, member):
        return self.state.members[member].generation

    def turn(self, member, limit):
        if self.restarted:
            self.open(copy.deepcopy(self.experiment))
        moved = super().turn(member, limit)
        if self.between:
            self.between(self)
        return moved

    def report(self, generation, step, done, diverged=""):
        bad = self.spoil(generation.member, step) if self.spoil else ""
        super().report(generation, step, done, bad)

    def fail(self, member):
        def build(state):
            ops = [MemberFailed(member=member, error="died")]
            ops += mutator_ops(apply(state, ops, 0.0), self.controller.rules(state))
            return with_consequences(state, self.controller.rules(state), ops)

        self.state = self.controller.log.commit("test", build).state


def run(problem, mutator, seed, until=lambda p: False, order=None, **more):
    """The population after all members finished, or as soon as `until` says so."""
    objectives = more.pop("objectives", None)
    if objectives is not None:
        asked = msgspec.structs.asdict(objectives)
        more |= {"objectives": asked.pop("modes"), **asked}
    hooks = {key: more.pop(key) for key in ("spoil", "restarted", "between") if key in more}
    p = Played(toy_experiment(problem, mutator, seed=seed, **more), **hooks)
    p.run(lambda: until(p), order)
    return p
