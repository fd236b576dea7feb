"""Figure 2 of arXiv:1711.09846 through real processes, one of which is killed every second."""

import subprocess

import pytest

from fspop.cli.simulate_runs import FILE
from fspop.simulation import Simulation, decisions, named_experiment
from fspop.storage import read_history
from tests.chaos.fleet import FSPOP, Fleet, check_invariants


def init(folder, name, *settings):
    file = folder / "simulated.py"
    file.write_text(FILE.format(problem="quadratic", mutator="TruncationSelection"))
    overrides = [word for setting in settings for word in ("--set", setting)]
    command = [*FSPOP, "init", str(file), "--dir", str(folder / name), *overrides]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return folder / name


@pytest.mark.slow
def test_killed_every_second_it_ends_with_the_same_decisions(tmp_path):
    calm = init(tmp_path, "calm")
    with Fleet(calm, 2) as fleet:
        fleet.run(0, 0)
    killed = init(tmp_path, "killed", "task.step_s=0.01")
    with Fleet(killed, 3) as fleet:
        fleet.run(12, 3, every_s=(1.0, 1.0))
    state = check_invariants(fleet)
    memory = Simulation(named_experiment("quadratic", "TruncationSelection"))
    memory.run()
    assert fleet.kills >= 5, "make the run longer"
    assert decisions(read_history(killed)) == decisions(read_history(calm))
    assert decisions(read_history(killed)) == decisions(memory.records())
    assert state.best.evaluation.value == memory.state.best.evaluation.value >= 1.19
