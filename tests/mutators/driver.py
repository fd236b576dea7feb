"""A population in memory: the real fold and the real decisions, without a log."""

import dataclasses

import msgspec
from msgspec.structs import replace

from fspop.controller.decide import Rules, mutator_ops, report_ops, view_of, with_consequences
from fspop.records import Born, Checkpoint, Created, MemberFailed, Reported, State
from fspop.storage.fold import apply


class Population:
    """`events` collects every Born after the first ones, in order."""

    def __init__(
        self, mutator, hparams, mode="max", seed=0, space=None, total_steps=None, objectives=None
    ):
        self.rules = Rules(mutator, seed, space, total_steps)
        born = [Born(member=i, index=0, hparams=h) for i, h in enumerate(hparams)]
        created = Created(len(hparams), mode, objectives=objectives)
        begun = apply(State(mode=mode), [created, *born], 0.0)
        self.state = replace(begun, mutator=mutator.init())
        self.events = []

    def report(
        self,
        member,
        step,
        value=None,
        diverged="",
        train_s=None,
        params=None,
        saved=True,
        generation=None,
        metrics=None,
    ):
        generation = generation or self.generation(member).id
        checkpoint = Checkpoint(generation, step, params) if saved else None
        op = Reported(generation, step, value, metrics or {}, diverged, checkpoint, train_s)
        return self._commit(report_ops(self.state, self.rules, op))

    def fail(self, member):
        ops = [MemberFailed(member=member, error="died")]
        after = apply(self.state, ops, 0.0)
        ops += mutator_ops(after, self.rules)
        return self._commit(with_consequences(self.state, self.rules, ops))

    def _commit(self, ops):
        self.state = apply(self.state, ops, 0.0)
        assert not self.state.mutator_error, self.state.mutator_traceback
        born = [op for op in ops if isinstance(op, Born)]
        self.events += born
        return born

    def restart(self):
        """As another process finds the run: a state read from JSON, a strategy just constructed."""
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=State)
        fields = dataclasses.fields(self.rules.mutator)
        settings = {f.name: getattr(self.rules.mutator, f.name) for f in fields if f.init}
        mutator = type(self.rules.mutator)(**settings)
        self.rules = dataclasses.replace(self.rules, mutator=mutator)

    def generation(self, member):
        return self.state.members[member].generation

    def hparams(self, member):
        return self.generation(member).hparams

    def params(self, member):
        restart = self.generation(member).restart
        return restart.params if restart else None

    def view(self, reported=None, report=None):
        return view_of(self.state, self.rules, reported, report)

    def limit(self, member):
        """The step one member must not train beyond."""
        until = self.rules.mutator.train_until(self.state.mutator, self.view(), member)
        limits = [step for step in (until, self.rules.total_steps) if step is not None]
        return min(limits, default=None)

    def limits(self):
        return self.rules.limits(self.state)
