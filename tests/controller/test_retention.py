"""Which checkpoints may go: never one that training, the best or a strategy can still reach."""

from fspop.controller.retention import fallback_of, retirable
from fspop.records import (
    Born,
    Checkpoint,
    Created,
    Lost,
    Objectives,
    Point,
    Reported,
    Retired,
    State,
    generation_id,
)
from fspop.storage.fold import apply


def population(n_steps, keep_best=1, size_bytes=100, n_members=2):
    """Members whose values rise with the step, and the higher the member the better."""
    ops = [Created(n_members, "max", keep_best), *(Born(m, 1, {}) for m in range(n_members))]
    for step in range(n_steps):
        for m in range(n_members):
            name = generation_id(m, 1)
            saved = Checkpoint(name, step, "x", size_bytes=size_bytes, digest="d", term=1)
            ops.append(Reported(name, step, value=step + 0.1 * m, checkpoint=saved))
    return apply(State(), ops, 0.0)


def left(state, retired):
    return sorted(c.point for c in state.kept if c not in retired)


def test_two_of_each_generation_and_the_best_stay():
    state = population(5)
    stay = [Point(f"m00{m}.g0001", s) for m in (0, 1) for s in (3, 4)]
    assert left(state, retirable(state)) == stay


def test_the_best_k_stay():
    state = population(5, keep_best=3)
    assert Point("m001.g0001", 2) not in left(state, retirable(population(5, keep_best=2)))
    assert len(state.leaders) == 3
    assert [b.evaluation.value for b in state.leaders] == [4.1, 4.0, 3.1]


def test_an_origin_stays_until_its_child_has_its_own():
    state = population(3)
    origin = state.members[1].generation.checkpoints[-1]
    state = apply(state, [Born(0, 2, {}, origin), Born(1, 2, {}, origin)], 0.0)
    assert origin.point in left(state, retirable(state))
    own = [Checkpoint(f"m00{m}.g0002", s, "x", term=1) for m in (0, 1) for s in (3, 4)]
    reports = [Reported(c.generation, c.step, value=9.0, checkpoint=c) for c in own]
    with_one = apply(state, [r for r in reports if r.step == 3], 0.0)
    assert origin.point in left(with_one, retirable(with_one)), "to fall back to"
    state = apply(state, reports, 0.0)
    assert origin.point not in left(state, retirable(state))
    assert {c.point for c in own} <= set(left(state, retirable(state)))


def test_right_after_a_round_everybody_has_something_to_fall_back_to():
    state = population(3)
    origin = state.members[1].generation.checkpoints[-1]
    fallback = fallback_of(state, origin)
    assert (fallback.generation, fallback.step) == ("m001.g0001", 1)
    births = [Born(m, 2, {}, origin, fallback=fallback) for m in (0, 1)]
    after = apply(state, births, 0.0)
    assert fallback.point in left(after, retirable(after))
    grandchild = apply(after, [Born(0, 3, {}, origin, fallback=fallback_of(after, origin))], 0.0)
    assert grandchild.members[0].generation.fallback is None, "its generation is gone"


def test_what_a_strategy_wants_stays():
    state = population(5)
    wanted = Point("m000.g0001", 0)
    assert wanted in left(state, retirable(state, [wanted]))


def test_a_budget_takes_the_spare_ones_oldest_first_and_nothing_else():
    state = population(5, keep_best=3)
    everything = left(state, retirable(state))
    assert len(everything) == 4
    assert left(state, retirable(state, (), 350)) == [
        Point("m000.g0001", 4),
        Point("m001.g0001", 3),
        Point("m001.g0001", 4),
    ]
    needed = [Point("m000.g0001", 4), Point("m001.g0001", 4)]
    assert left(state, retirable(state, (), 1)) == needed


def test_a_retired_checkpoint_is_no_restart_any_more():
    state = population(3)
    gone = state.members[0].generation.checkpoints[0]
    state = apply(state, [Retired([gone])], 0.0)
    assert gone not in state.members[0].generation.checkpoints and gone not in state.kept


def test_the_front_stays_whatever_the_budget():
    aims = Objectives({"a": "max", "b": "max"}, front_size=3)
    ops = [Created(2, "max", objectives=aims), *(Born(m, 1, {}) for m in range(2))]
    for step in range(12):
        saved = Checkpoint("m000.g0001", step, "x", size_bytes=100, digest="d", term=1)
        metrics = {"a": step, "b": -step}
        ops.append(Reported("m000.g0001", step, step, metrics, checkpoint=saved))
    state = apply(State(), ops, 0.0)
    stay = left(state, retirable(state, budget_bytes=0))
    front = {best.checkpoint.point for best in state.front}
    assert len(front) == 3 and front <= set(stay) and len(stay) <= 4


def test_a_lost_checkpoint_is_not_the_fronts_any_more():
    aims = Objectives({"a": "max", "b": "max"})
    saved = Checkpoint("m000.g0001", 1, "x", digest="d", term=1)
    ops = [Created(1, "max", objectives=aims), Born(0, 1, {})]
    ops.append(Reported("m000.g0001", 1, 1.0, {"a": 1, "b": 1}, checkpoint=saved))
    state = apply(State(), [*ops, Lost(saved, "torn", 0)], 0.0)
    assert state.front[0].checkpoint is None and state.best.checkpoint is None
