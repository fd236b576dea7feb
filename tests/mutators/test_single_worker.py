import itertools

import pytest

from fspop.controller import PopulationController
from fspop.errors import InvalidSetting
from fspop.mutators import SingleWorkerExplore
from fspop.records import Point
from fspop.space import Space, Uniform
from tests.mutators.driver import Population


class Calls:
    def __init__(self, size=0.05):
        self.made, self.size = [], size

    def __call__(self, hparams, direction, phase):
        self.made.append((direction, phase))
        return round(hparams + (self.size if direction == "pos" else -self.size), 6)


def search(exploit=4, explore=2, first=1.0, **more):
    calls = Calls()
    mutator = SingleWorkerExplore(calls, exploit, explore)
    return Population(mutator, [first], mode="min", **more), calls


def train(p, every=1, turns=1, score=lambda h: h * h, restarted=False):
    """(generation, hparams, from step, to step) of each turn of a worker that goes on."""
    trace = []
    if p.generation(0).restart is None:
        p.report(0, 0)
    for _ in range(turns):
        if restarted:
            p.restart()
        name, used, step = p.generation(0).id, p.hparams(0), p.generation(0).restart.step
        p.report(0, step + every, score(used), params=step + every)
        trace.append((name, used, step, step + every))
    return trace


def stretches(trace):
    """(hparams, from step, to step) of each generation."""
    groups = [list(g) for _, g in itertools.groupby(trace, key=lambda turn: turn[0])]
    return [(g[0][1], g[0][2], g[-1][3]) for g in groups]


def test_the_documents_example():
    p, calls = search()
    trace = stretches(train(p, turns=16))
    assert trace[:3] == [(1.0, 0, 2), (1.05, 0, 2), (0.95, 0, 2)]
    assert trace[3:] == [(0.95, 2, 8), (1.0, 6, 8), (0.9, 6, 8)]
    assert p.hparams(0) == 0.9 and p.generation(0).start_step == 8
    assert calls.made == [("pos", 0), ("neg", 0), ("pos", 1), ("neg", 1)]
    assert "neg was best (center 0.9025, pos 1, neg 0.81), goes on" in p.events[-1].reason


def test_branches_share_the_weights_from_the_very_first_phase():
    p, _ = search()
    train(p, turns=4)
    assert [b.origin.point for b in p.events[:2]] == [Point("m000.g0000", 0)] * 2


def test_evaluations_need_not_land_on_the_boundary():
    p, _ = search()
    trace = train(p, every=3, turns=3)
    assert [(start, end) for *_, start, end in trace] == [(0, 3)] * 3
    assert p.generation(0).start_step == 3 and p.hparams(0) == 0.95


def test_a_first_report_after_step_0_is_where_it_branches():
    p, _ = search()
    p.report(0, 3, 1.0)
    assert p.limits() == [5]
    assert p.report(0, 5, 1.0)[0].origin.step == 3


def test_a_value_that_comes_later_is_waited_for_and_found():
    p, _ = search()
    p.report(0, 0)
    for step in (2, 4):
        assert not p.report(0, step, None)
    (born,) = p.report(0, 2, 1.0, saved=False)
    assert born.origin.point == Point("m000.g0000", 0)


def test_what_the_winner_trained_meanwhile_is_kept():
    p, _ = search()
    for step in (0, 2, 5):
        p.report(0, step, None)
    p.report(0, 2, 0.5, saved=False)
    p.report(0, 2, 1.0)
    assert p.report(0, 2, 1.0)[0].origin.point == Point("m000.g0000", 5)


def test_a_branch_that_diverges_loses():
    p, _ = search()
    train(p, turns=4)
    p.report(0, 1, diverged="nan")
    assert p.hparams(0) == 1.0 and "neg diverged" in p.events[-1].reason


def test_when_all_branches_diverge_the_next_steps_are_tried_until_it_has_no_sense():
    p, calls = search(total_steps=50)
    p.report(0, 0)
    for _ in range(30):
        p.report(0, 1, diverged="nan")
    assert calls.made[-1][1] == 10 and p.limits() == [50]
    for step in range(2, 51):
        p.report(0, step, diverged="nan")
    assert p.state.members[0].status == "finished"


def test_diverging_while_exploiting_leads_back_to_where_it_began():
    p, _ = search()
    train(p, turns=6)
    p.report(0, 3, diverged="nan")
    assert p.hparams(0) == 1.0 and p.events[-1].origin.step == 2
    assert p.params(0) == 2


def test_a_fixed_step_drives_the_score_to_0():
    p, _ = search()
    train(p, every=2, turns=200)
    assert abs(p.hparams(0)) <= 0.05


def test_the_synthetic_example_of_the_library():
    """An inner problem with parameter a and hparam b, through the library's two calls."""
    controller = PopulationController([1.0], SingleWorkerExplore(Calls(0.1), 50, 30))
    a, b, step, generation, seen = 0.0, 1.0, 0, None, []
    for _ in range(1201):
        assigned = controller.maybe_get_worker_data(0, generation, step, a)
        if assigned is not None:
            generation, step, b = assigned.generation_id, assigned.step, assigned.hparams
            a = 0.0 if assigned.params is None else assigned.params
        score = a * a + (a - 1) ** 2 + 1
        controller.set_eval(0, generation, step, a, score)
        for _ in range(5):
            a -= 0.01 * (2 * (b + a - 2) + 2 * (a - 1))
        step += 5
        seen.append((b, round(a, 2), round(score, 3)))
    assert seen[0] == (1.0, 0.18, 2.0)
    assert seen[100] == (1.4, 0.84, 1.748)
    assert seen[400] == seen[1200] == (2.0, 0.5, 1.5)
    assert {b for b, _, _ in seen[400:]} == {1.9, 2.0, 2.1}


def test_a_restart_between_any_two_reports_changes_nothing():
    p, q = search()[0], search()[0]
    assert train(p, turns=50) == train(q, turns=50, restarted=True)
    assert p.events == q.events


def test_what_it_needs_is_kept():
    p, _ = search()
    train(p, every=1, turns=3)
    kept = {c.point for c in p.state.kept}
    assert {Point("m000.g0000", 0), Point("m000.g0000", 2)} <= kept


def test_hparams_stay_within_the_space():
    mutator = SingleWorkerExplore(lambda h, d, i: {"x": h["x"] + (1 if d == "pos" else -1)}, 2, 2)
    p = Population(mutator, [{"x": 0.5}], space=Space({"x": Uniform(0, 1)}))
    train(p, turns=20, score=lambda h: h["x"])
    assert all(0 <= born.hparams["x"] <= 1 for born in p.events)
    assert p.state.mutator["base"] == {"x": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"explore_steps": 0},
        {"exploit_steps": 1.5},
        {"mutate_fn": 3},
        {"mutate_fn": lambda h: h},
        {"mutate_fn": dict},
    ],
)
def test_bad_settings_are_refused_by_name(settings):
    good = {"mutate_fn": Calls(), "exploit_steps": 4, "explore_steps": 2}
    with pytest.raises(InvalidSetting, match=rf"SingleWorkerExplore\.{next(iter(settings))}: got"):
        SingleWorkerExplore(**{**good, **settings})


def test_a_function_that_fails_in_the_space_is_refused_at_init():
    mutator = SingleWorkerExplore(lambda h, d, i: {"x": h["x"], "y": 1}, 2, 2)
    with pytest.raises(InvalidSetting, match=r"mutate_fn: it fails .* the key 'y'"):
        mutator.check(1, Space({"x": Uniform(0, 1)}))


def test_it_works_with_one_member():
    with pytest.raises(InvalidSetting, match="2 members"):
        SingleWorkerExplore(Calls(), 4, 2).check(2, None)
