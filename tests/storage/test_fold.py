"""Folding: pure, the same through a snapshot, and never lost in what random operations leave."""

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fspop.errors import Damaged
from fspop.records import (
    KEPT_EVALUATIONS,
    AttemptFailed,
    Born,
    Checkpoint,
    Claimed,
    Created,
    Finished,
    Joined,
    Left,
    MemberFailed,
    MutatorChanged,
    MutatorFailed,
    Process,
    Released,
    Reported,
    Retired,
    Retried,
    State,
)
from fspop.storage import codec
from fspop.storage.fold import apply

N = 3
BEGUN = apply(State(), [Created(N, "min"), *(Born(i, 1, i / 10) for i in range(N))], 0.0)
numbers = st.integers(0, 6)
values = st.one_of(st.none(), st.floats(-5, 5), st.just(1e308))


def checkpoint(generation, step):
    return Checkpoint(generation, step, f"checkpoints/{generation}/{step}", term=step % 2)


def operation(state, kind, a, b, value):
    """An operation a controller could make in `state`, picked by plain numbers."""
    member = state.members[a % N]
    generation, term = member.generation.id, member.term
    worker, incarnation = str(a), f"{a}.{b}"
    if kind == "born":
        origin = state.kept[b % len(state.kept)] if state.kept else None
        return Born(member.index, member.next_index, {"lr": b}, origin, "because")
    if kind == "reported":
        saved = checkpoint(generation, b) if a % 2 else None
        return Reported(generation, b, value, {"n": b}, "" if value else "NaN", saved, b * 0.5)
    if kind == "late":
        return Reported("m000.g0001", b, value, registered=bool(a % 2))
    if kind == "retired":
        return Retired(state.kept[: b % 3])
    if kind == "claimed":
        return Claimed(member.index, term + 1, worker, incarnation)
    if kind == "changed":
        return MutatorChanged([(["x", str(b)], [a, value])], [["y"]] * (b == 0))
    return {
        "released": Released(member.index, term - b % 2),
        "joined": Joined(Process(worker, incarnation)),
        "left": Left(worker, incarnation, died=bool(b % 2)),
        "finished": Finished(member.index),
        "attempt_failed": AttemptFailed(member.index, term, "boom", "trace", b == 6),
        "member_failed": MemberFailed(member.index, "died"),
        "retried": Retried(member.index, "me@here"),
        "mutator_failed": MutatorFailed("boom"),
    }[kind]


KINDS = (
    "born reported reported reported late retired claimed released joined left finished "
    "attempt_failed member_failed retried changed mutator_failed"
).split()
scripts = st.lists(st.tuples(st.sampled_from(KINDS), numbers, numbers, values), max_size=40)


def states(script):
    state = BEGUN
    yield state
    for time, (kind, a, b, value) in enumerate(script):
        state = apply(state, [operation(state, kind, a, b, value)], float(time))
        yield state


def through_a_snapshot(state):
    return codec.decode(codec.encode(state), State, Path("snapshot"))


@given(scripts)
@settings(max_examples=150, deadline=None)
def test_a_snapshot_in_between_changes_nothing(script):
    kept = again = BEGUN
    for time, (kind, a, b, value) in enumerate(script):
        op = operation(kept, kind, a, b, value)
        kept = apply(kept, [op], float(time))
        again = apply(through_a_snapshot(again), [op], float(time))
    assert again == kept and codec.encode(again) == codec.encode(kept)


@given(scripts)
@settings(max_examples=100, deadline=None)
def test_no_input_is_ever_modified(script):
    for state, (kind, a, b, value) in zip(list(states(script)), script, strict=False):
        op = operation(state, kind, a, b, value)
        before = copy.deepcopy((state, op))
        apply(state, [op], 1.0)
        assert (state, op) == before


@given(scripts)
@settings(max_examples=150, deadline=None)
def test_counters_only_rise_and_ids_never_come_back(script):
    seen = {m.generation.id for m in BEGUN.members}
    *earlier, _ = everything = list(states(script))
    for before, after in zip(earlier, everything[1:], strict=True):
        for old, new in zip(before.members, after.members, strict=True):
            assert new.term >= old.term and new.next_index >= old.next_index
            if new.generation.id != old.generation.id:
                assert new.generation.id not in seen
                seen.add(new.generation.id)
            elif new.generation.checkpoints and old.generation.checkpoints:
                own = {c.point for c in new.generation.checkpoints}
                assert old.generation.restart.point in own or after.kept != before.kept


@given(scripts)
@settings(max_examples=150, deadline=None)
def test_what_a_state_holds_stays_in_order_and_bounded(script):
    for state in states(script):
        for member in state.members:
            steps = [e.step for e in member.generation.evaluations]
            assert steps == sorted(set(steps)) and len(steps) <= KEPT_EVALUATIONS
            assert set(member.generation.checkpoints) <= set(state.kept) or not steps
            assert member.generation.parent is None or (
                member.generation.parent.generation != member.generation.id
            )


def reported(step, value=None, params=None, **more):
    saved = Checkpoint("m000.g0001", step, params) if params else None
    return Reported("m000.g0001", step, value, checkpoint=saved, **more)


def first(*ops):
    return apply(BEGUN, ops, 1.0).members[0].generation


def test_a_late_score_fills_in_without_moving_the_restart_point_back():
    generation = first(reported(10, None, "a"), reported(20, None, "b"), reported(10, 3.0, "c"))
    assert [(e.step, e.value) for e in generation.evaluations] == [(10, 3.0), (20, None)]
    assert generation.restart.params == "b" and generation.step == 20


def test_the_same_step_again_replaces_the_score_but_not_with_nothing():
    generation = first(reported(10, 3.0), reported(10, 4.0), reported(10), reported(10))
    assert [(e.step, e.value) for e in generation.evaluations] == [(10, 4.0)]


def test_a_presented_point_never_overwrites_an_evaluation():
    generation = first(reported(10, 3.0), reported(10, registered=True))
    assert generation.evaluations[0].value == 3.0
    assert first(reported(10, registered=True)).step == 0


def test_the_best_is_finite_and_stays_until_beaten():
    diverged = replace(reported(5), diverged="NaN")
    state = apply(BEGUN, [diverged, reported(10, 3.0, "a"), reported(20, 4.0)], 1.0)
    assert state.best.evaluation.value == 3.0 and state.best.checkpoint.params == "a"


def test_only_the_newest_evaluations_are_held():
    generation = first(*(reported(n, 1.0) for n in range(200)))
    assert [e.step for e in generation.evaluations] == list(range(136, 200))


def test_a_checkpoint_clears_failures_and_deaths():
    claim = Claimed(0, 1, "w", "w.1")
    ops = [claim, AttemptFailed(0, 1, "boom"), claim, Left("w", "w.1", died=True)]
    troubled = apply(BEGUN, ops, 1.0)
    assert (troubled.members[0].failures, troubled.members[0].deaths) == (1, 1)
    healed = apply(troubled, [reported(10, 1.0, "a")], 1.0).members[0]
    assert (healed.failures, healed.deaths) == (0, 0)
    assert apply(troubled, [reported(10, 1.0)], 1.0).members[0].deaths == 1


def test_a_failed_member_may_be_tried_again_and_its_error_stays_until_a_checkpoint():
    claim = Claimed(0, 1, "w", "w.1")
    died = [claim, Left("w", "w.1", died=True), claim]
    failed = apply(BEGUN, [*died, AttemptFailed(0, 1, "boom", "trace", final=True)], 1.0)
    assert failed.members[0].status == "failed"
    again = apply(failed, [Retried(0, "me@here")], 2.0)
    member = again.members[0]
    assert (member.status, member.failures, member.deaths, member.claim) == ("active", 0, 0, None)
    assert (member.error, member.traceback) == ("boom", "trace")
    healed = apply(again, [reported(10, 1.0, "a")], 3.0).members[0]
    assert (healed.error, healed.traceback) == ("", "")


def test_trying_again_what_has_not_failed_changes_nothing():
    finished = apply(BEGUN, [Finished(0)], 1.0)
    assert apply(finished, [Retried(0, "me@here")], 2.0) == finished
    assert apply(BEGUN, [Retried(1, "me@here")], 2.0) == BEGUN


def test_a_strategy_that_works_again_clears_its_error():
    failing = apply(BEGUN, [MutatorFailed("boom", "trace")], 1.0)
    assert failing.mutator_error == "boom"
    assert apply(failing, [MutatorChanged()], 1.0).mutator_error == ""


@pytest.mark.parametrize(
    "op",
    [
        Reported("m009.g0001", 1),
        Reported("nonsense", 1),
        Born(7, 1, 0.1),
        MemberFailed(5, "x"),
        Retried(5, "x"),
        Released(-1, 1),
        AttemptFailed(3, 1, "x"),
    ],
)
def test_what_names_nobody_is_damage(op):
    with pytest.raises(Damaged, match=r"record 0: (names|reports)"):
        apply(BEGUN, [op], 1.0)
