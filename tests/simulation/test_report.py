import dataclasses

import pytest

from fspop.errors import FspopError, UsageError
from fspop.mutators import TruncationSelection
from fspop.problems import PROBLEMS
from fspop.simulation import Simulation, named_experiment, toy_experiment
from fspop.simulation.published import FIGURES, Gate
from fspop.simulation.report import lines, make_report
from fspop.simulation.statistics import spread


def report_on(values, reference, **changes):
    experiment = dataclasses.replace(named_experiment("deceptive", "FIRE"), **changes)
    return make_report("deceptive", experiment, range(len(values)), values, reference)


def test_below_random_search_is_greedy_and_said_so():
    report = report_on([0.9, 0.92], [1.04, 1.05])
    assert report.greedy and not report.within
    text = "\n".join(lines(report))
    assert "GREEDY" in text and "MISSED" in text and max(map(len, text.splitlines())) <= 80


def test_above_random_search_is_not():
    report = report_on([1.16, 1.17], [1.04, 1.05])
    assert report.greedy is False and report.within
    assert report.strategy.published.mean == 1.1645


def test_other_settings_than_the_published_ones_have_no_gate():
    mutator = TruncationSelection(40, 0.25)
    report = report_on([1.16], [1.04], mutator=mutator)
    assert report.gate is None and report.within is None
    assert report.strategy.published is None and "no gate" in "\n".join(lines(report))


def test_the_triangle_wave_counts_steps_and_those_that_are_never_solved():
    experiment = named_experiment("triangle", "RandomSearch")
    report = make_report("triangle", experiment, range(3), [700, None, 800], None)
    assert report.strategy.reached.solved == pytest.approx(2 / 3)
    assert report.strategy.reached.worst == 800 and "67%" in "\n".join(lines(report))


def test_every_published_figure_is_of_something_that_there_is():
    for (problem, mutator), figures in FIGURES.items():
        usual = named_experiment(problem, mutator)
        assert usual.mutator.name == mutator and usual.total_steps in figures


def test_a_gate_of_shares_and_one_of_means():
    assert Gate("share", ">=", 1.19, 0.95).within([1.2] * 19 + [1.0])
    assert not Gate("share", ">=", 1.19, 0.95).within([1.2] * 18 + [1.0] * 2)
    assert not Gate("median", "<=", 300).within([200, None, 200])
    assert spread([3.0, 1.0, 2.0]).worst == 1.0 and spread([3, 1], less=True).worst == 3


def test_an_unknown_strategy_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'TruncationSelection'"):
        named_experiment("plain", "truncation-selectoin")


def test_a_strategy_that_fails_is_said():
    def fails(hparams, rng):
        if len(calls) > 1:
            raise ValueError("no")
        calls.append(1)
        return hparams

    calls = []
    mutator = TruncationSelection(5, 0.5, explore=fails, synchronous=True)
    simulation = Simulation(toy_experiment(PROBLEMS["quadratic"](), mutator))
    calls.append(1)
    with pytest.raises(FspopError, match="TruncationSelection: ValueError: no"):
        simulation.run()
