import json
import subprocess
import sys

import pytest


def test_a_simulation_shows_figures_and_the_verdict(fspop):
    out = fspop.good("simulate", "quadratic", "--seeds", "2")
    assert "TruncationSelection   1.2000" in out and "RandomSearch          0.3900" in out
    assert "gate: at least 1.19 in 95% of the seeds: within" in out
    assert max(map(len, out.splitlines())) <= 80


def test_other_settings_than_the_published_ones_have_no_gate(fspop):
    for setting in ("mode=min", "report_every=10", "space.h0.high=2.0"):
        out = fspop.good("simulate", "quadratic", "--seeds", "1", "--set", setting)
        assert "no gate" in out and "too few" not in out


def test_a_verdict_on_a_few_seeds_says_that_it_is_one(fspop):
    assert "2 seeds: too few to mean much" in fspop.good("simulate", "quadratic", "--seeds", "2")
    assert "too few" not in fspop.good("simulate", "quadratic", "--seeds", "5")


def test_as_json_it_has_every_value(fspop):
    words = ["--mutator", "random-search", "--seeds", "3", "--seed", "4", "--json"]
    data = json.loads(fspop.good("simulate", "quadratic", *words))
    assert data["seeds"] == [4, 5, 6] and len(data["strategy"]["values"]) == 3
    assert data["random_search"] is None and data["strategy"]["reached"]["mean"] < 0.391


def test_the_list_names_problems_and_strategies(fspop):
    out = fspop.good("simulate", "--list")
    assert "deceptive" in out and "MultipleFrequencies" in out
    assert max(map(len, out.splitlines())) <= 80


def test_real_workers_decide_what_was_decided_in_memory_and_go_on(fspop):
    words = ["simulate", "quadratic", "--dir", "run", "--set", "total_steps=60", "--json"]
    data = json.loads(fspop.good(*words))
    assert data["decided_as_in_memory"] and data["n_decisions"] > 5
    again = fspop.good(*words)
    assert json.loads(again) == data
    line = fspop.refused(78, "simulate", "plain", "--dir", "run")
    assert "holds a run of something else than this simulation" in line


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "PROBLEM: there are quadratic, triangle, plain, deceptive"),
        (["decptive"], 2, "did you mean 'deceptive'?"),
        (["plain", "--mutator", "fir"], 2, "did you mean 'FIRE'?"),
        (["plain", "--mutator", "zzz"], 2, "there are Backtracking, "),
        (["plain", "--set", "mutator.fration=3"], 2, "did you mean 'fraction'?"),
        (["plain", "--set", "mutator.fraction=3"], 78, "TruncationSelection.fraction: got 3"),
        (["plain", "--set", "seed=3"], 2, "give --seed"),
        (["plain", "--set", 'constraints=["loss <= 1"]'], 78, "are on loss, but the problem"),
        (["plain", "--workers", "2"], 2, "give --dir too"),
        (["plain", "--mutator", "FIRE", "--set", "members=8"], 78, "FIRE.sizes"),
    ],
)
def test_bad_input_is_one_line(refused_here, words, code, message):
    assert message in refused_here(code, "simulate", *words)


def test_simulating_loads_no_torch():
    program = """
import sys
from fspop.cli.app import run
code = run(["simulate", "quadratic", "--seeds", "1"])
print(code, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False"
