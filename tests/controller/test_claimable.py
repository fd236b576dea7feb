"""Who may be trained: also a member that stopped at its limit before it gave its score."""

import dataclasses

from fspop.controller.claims import claimable
from fspop.controller.decide import Rules
from fspop.mutators.base import Mutator
from fspop.records import Born, Checkpoint, Created, Reported, State
from fspop.storage.fold import apply


@dataclasses.dataclass(frozen=True)
class Barrier(Mutator):
    """Everybody waits at step 10."""

    def update(self, state, view, rng):
        return state, []

    def train_until(self, state, view, member):
        return 10


def free(*reports):
    ops = [Created(1, "max"), Born(0, 1, {}), *reports]
    return [m.index for m in claimable(apply(State(), ops, 0.0), Rules(Barrier(), seed=0))]


def report(step, **score):
    saved = Checkpoint("m000.g0001", step, "x", term=1)
    return Reported("m000.g0001", step, checkpoint=saved, **score)


def test_a_member_waits_at_its_barrier_with_a_score():
    assert free() == [0] and free(report(5, value=1.0)) == [0]
    assert free(report(10, value=1.0)) == []
    assert free(report(10, diverged="it is nan")) == []


def test_a_member_at_its_barrier_without_a_score_is_free_to_give_it():
    assert free(report(10)) == [0]
