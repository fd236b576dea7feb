"""Workers killed with -9 at random: nothing acknowledged is lost, nothing comes out different."""

import pytest

from fspop.storage import read_run
from tests.chaos.fleet import Fleet, check_invariants, decisions, final_digests, init


def run_fleet(root, workers, kills, seed, step_s):
    with Fleet(root, workers, step_s) as fleet:
        fleet.run(kills, seed)
    assert fleet.kills >= kills, f"only {fleet.kills} kills before the end: make the run longer"
    return fleet


def test_a_few_kills_lose_nothing_and_change_nothing(tmp_path):
    for name in ("calm", "killed"):
        init(tmp_path / name, "total_steps=200")
    run_fleet(tmp_path / "calm", 1, 0, 0, 0.0)
    fleet = run_fleet(tmp_path / "killed", 2, 5, 1, 0.004)
    state = check_invariants(fleet)
    assert decisions(tmp_path / "killed") == decisions(tmp_path / "calm")
    assert final_digests(state) == final_digests(read_run(tmp_path / "calm")[1])


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_fifty_kills_lose_nothing_and_change_nothing(tmp_path):
    for name in ("calm", "killed"):
        init(tmp_path / name, "total_steps=600")
    run_fleet(tmp_path / "calm", 1, 0, 0, 0.0)
    fleet = run_fleet(tmp_path / "killed", 3, 50, 7, 0.01)
    state = check_invariants(fleet)
    assert decisions(tmp_path / "killed") == decisions(tmp_path / "calm")
    assert final_digests(state) == final_digests(read_run(tmp_path / "calm")[1])
