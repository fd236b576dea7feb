import math
import random

import pytest

from fspop.errors import InvalidSetting
from fspop.mutators import IteratedRestarts
from fspop.mutators.plateau import has_flattened, smoothed, solved
from fspop.problems import Plain
from fspop.space import Space, Uniform
from tests.mutators import simulation
from tests.mutators.driver import Population

SPACE = Space({"x": Uniform(0, 1)})


def population(n=4, interval=10, total_steps=None, mode="max"):
    mutator = IteratedRestarts(interval)
    mutator.check(n, SPACE)
    first = [{"x": 0.1 * (i + 1)} for i in range(n)]
    return Population(mutator, first, mode, space=SPACE, total_steps=total_steps)


def round_of(p, values):
    before = len(p.events)
    for member, value in enumerate(values):
        p.report(member, p.limit(member), value)
    return p.events[before:]


def test_two_candidates_for_each_member_are_tried_and_the_better_half_goes_on():
    p = population()
    second = round_of(p, [0.8, 0.1, 0.7, 0.2])
    assert [b.origin for b in second] == [None] * 4 and len({b.hparams["x"] for b in second}) == 4
    assert p.limits() == [10] * 4
    moved = round_of(p, [0.9, 0.6, 0.3, 0.4])
    assert [(b.member, b.origin.generation) for b in moved] == [
        (2, "m000.g0000"),
        (3, "m002.g0000"),
    ]
    assert moved[0].hparams == {"x": 0.1}
    assert p.state.mutator["doing"] == "evolving" and p.limits() == [20] * 4


def play_until_restart(p, best=1.0):
    for _ in range(30):
        born = round_of(p, [best, 0.5, 0.4, 0.3])
        if any("progress stopped" in b.reason for b in born):
            return born
    raise AssertionError("no restart")


def test_a_flat_best_score_restarts_all_members_with_rounds_twice_as_long():
    p = population()
    born = play_until_restart(p)
    assert [b.member for b in born] == [0, 1, 2, 3]
    orders = [b.hparams["restart"] for b in born]
    assert orders == [{"keep": 0.0, "fresh": 1.0}, {"keep": 0.2, "fresh": 0.1}] * 2
    assert {b.origin.generation[:4] for b in born} == {"m000"}  # the best quarter
    step = born[0].origin.step
    assert p.limits() == [step + 20] * 4
    second = round_of(p, [1, 2, 3, 4])
    assert [b.origin for b in second] == [b.origin for b in born]
    selected = round_of(p, [0, 0, 0, 5])
    assert all("restart" not in b.hparams for b in selected)
    assert p.limits() == [step + 40] * 4


def test_evolving_never_repeats_the_order_to_restart():
    p = population()
    play_until_restart(p)
    for _ in range(3):
        born = round_of(p, [1, 2, 3, 4])
    assert born and all("restart" not in b.hparams for b in born)


def test_there_is_no_restart_where_two_longer_rounds_do_not_fit():
    p = population(total_steps=60)
    for _ in range(7):
        round_of(p, [1.0, 0.5, 0.4, 0.3])
    assert p.state.mutator["started"] == 0
    assert {m.status for m in p.state.members} == {"finished"}


def test_what_candidates_need_is_kept():
    p = population()
    round_of(p, [0.8, 0.1, 0.7, 0.2])
    for member in range(4):
        for step in (2, 4, 6, 8):
            p.report(member, step, 0.0)
    kept = {c.point for c in p.state.kept}
    assert {(f"m00{i}.g0000", 10) for i in range(4)} <= kept


def test_members_that_diverge_as_candidates_take_a_healthy_one():
    p = population()
    for member in range(4):
        p.report(member, 10, *([0.5] if member == 2 else [None, "nan"]))
    for member in range(4):
        p.report(member, 10, *([0.4] if member == 1 else [None, "nan"]))
    origins = {b.member: b.origin.generation for b in p.events[4:]}
    assert origins == {0: "m002.g0000", 2: "m002.g0000", 3: "m002.g0000"}


def test_both_modes_mirror_each_other():
    p, q = population(), population(mode="min")
    for seed in range(25):
        values = [random.Random(seed * 4 + i).random() for i in range(4)]
        round_of(p, values)
        round_of(q, [-v for v in values])
    assert [(b.member, b.origin, b.hparams) for b in p.events] == [
        (b.member, b.origin, b.hparams) for b in q.events
    ]


class Restartable(Plain):
    """A task that obeys the order once; here a generation is told by its order alone."""

    def train(self, params, hparams, n_steps, seed):
        order = hparams.get("restart")
        theta = params["theta"]
        if order and params.get("order") != order:
            theta = order["keep"] * theta + order["fresh"] * 0.9
        done = super().train({**params, "theta": theta}, hparams, n_steps, seed)
        return done._replace(params={**done.params, "order": order})


def test_it_solves_the_plain_problem():
    p = simulation.run(Restartable(), IteratedRestarts(20), 0, members=8)
    assert simulation.final_best(p.state) >= 1.19


def test_a_curve_flattens_when_nothing_new_comes_or_too_little():
    assert not has_flattened([1.0, 2.0, 3.0]) and not has_flattened(list(map(float, range(40))))
    assert has_flattened([1.0] * 4)
    assert has_flattened([1.0, 2.0, 3.0, 2.5, 2.4, 2.3, 2.2])
    slow = [math.tanh(i / 3) for i in range(40)]
    assert has_flattened(slow) and not has_flattened(slow[:6])


def test_smoothing_takes_noise_out_and_solving_solves():
    rng = random.Random(0)
    noisy = [i / 10 + rng.gauss(0, 0.3) for i in range(40)]
    smooth = smoothed(noisy)
    assert sum((s - i / 10) ** 2 for i, s in enumerate(smooth[:-1])) < sum(
        (n - i / 10) ** 2 for i, n in enumerate(noisy[:-1])
    )
    assert solved([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]) == pytest.approx([1 / 11, 7 / 11])


@pytest.mark.parametrize(
    "settings", [{"interval": 0}, {"restart_key": ""}, {"restart_key": 3}, {"explore": None}]
)
def test_bad_settings_name_the_field(settings):
    with pytest.raises(InvalidSetting, match=rf"IteratedRestarts\.{next(iter(settings))}: got"):
        IteratedRestarts(**{"interval": 10, **settings})


@pytest.mark.parametrize(
    ("n", "space", "message"),
    [
        (3, SPACE, "got 3 members"),
        (8, None, "has no space"),
        (8, Space({"restart": Uniform(0, 1)}), "give another name"),
    ],
)
def test_populations_that_do_not_fit_are_refused(n, space, message):
    with pytest.raises(InvalidSetting, match=message):
        IteratedRestarts(10).check(n, space)
