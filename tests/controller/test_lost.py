"""What a member starts from when the checkpoint it was to go on from is lost."""

from fspop.controller.lost import MAX_LOSSES, lost_ops
from fspop.records import Born, Lost, Retired
from fspop.storage.fold import apply
from tests.controller.test_retention import population


def test_an_own_checkpoint_falls_back_to_the_one_before():
    state = population(3)
    newest = state.members[0].generation.restart
    ops = lost_ops(state, 0, newest, "flipped")
    assert ops == [Lost(newest, "flipped", 0)]
    after = apply(state, ops, 0.0)
    assert after.members[0].generation.restart.step == newest.step - 1
    assert newest not in after.kept


def test_a_lost_parent_is_replaced_by_the_parents_checkpoint_before():
    state = population(3)
    parent = state.members[1].generation.restart
    state = apply(state, [Born(0, 2, {"a": 1}, parent)], 0.0)
    ops = lost_ops(state, 0, parent, "gone")
    assert [type(op) for op in ops] == [Lost, Born]
    born = ops[1]
    assert (born.origin.generation, born.origin.step) == (parent.generation, parent.step - 1)
    assert born.hparams == {"a": 1} and "is lost" in born.reason


def test_the_last_resort_is_the_best_one_and_then_nothing():
    state = population(1)
    mine, others = (m.generation.restart for m in state.members)
    child = apply(state, [Born(0, 2, {}, mine)], 0.0)
    assert lost_ops(child, 0, mine, "gone")[1].origin == others
    state = population(1, n_members=1)
    only = state.members[0].generation.restart
    child = apply(state, [Born(0, 2, {}, only)], 0.0)
    after = apply(child, ops := lost_ops(child, 0, only, "gone"), 0.0)
    assert ops[1].origin is None and after.best.checkpoint is None


def test_a_first_generation_that_lost_everything_begins_afresh():
    state = population(1, n_members=1)
    only = state.members[0].generation.restart
    after = apply(state, lost_ops(state, 0, only, "gone"), 0.0)
    assert after.members[0].generation.restart is None
    assert after.members[0].generation.index == 1


def test_a_fallback_is_used_where_the_parents_other_checkpoints_are_gone():
    state = population(2)
    first, newest = state.members[1].generation.checkpoints
    state = apply(state, [Born(1, 2, {}, newest, fallback=first), Retired([])], 0.0)
    born = lost_ops(state, 1, newest, "gone")[1]
    assert born.origin == first


def test_a_member_whose_checkpoints_keep_getting_lost_is_given_up():
    state = population(12, n_members=1)
    for _ in range(MAX_LOSSES - 1):
        state = apply(state, lost_ops(state, 0, state.members[0].generation.restart, "x"), 0.0)
        assert state.members[0].status == "active"
    ops = lost_ops(state, 0, state.members[0].generation.restart, "x")
    assert apply(state, ops, 0.0).members[0].status == "failed"
