"""Processes killed with -9 at every named place of a commit, and started again: nothing
acknowledged is lost, nothing is recorded twice.
"""

import pytest

from tests.chaos.committers import Committers
from tests.chaos.test_log_stopped import COMMIT_POINTS, make_run
from tests.storage.processes import check_nothing_lost


def test_a_few_seconds_of_kills_lose_nothing(tmp_path):
    paths = make_run(tmp_path, 8)
    with Committers(paths, 3, 4.0, 8, FSPOP_CRASH_AT="commit.linked%20") as committers:
        committers.tend()
    assert committers.kills >= 2, "too few kills to show anything"
    assert check_nothing_lost(paths) > 50


@pytest.mark.chaos
@pytest.mark.parametrize(
    "flags", [[], ["--pipelined"], ["--no-lock"]], ids=["locked", "pipelined", "lockless"]
)
@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_kills_at_every_place_lose_nothing(tmp_path, point, flags):
    paths = make_run(tmp_path, 8)
    chance = 3 if point.startswith("compact.") else 20
    with Committers(paths, 4, 5.0, 8, *flags, FSPOP_CRASH_AT=f"{point}%{chance}") as committers:
        committers.tend()
    assert committers.kills >= 2, "too few kills to show anything"
    assert check_nothing_lost(paths) > 50


@pytest.mark.chaos
@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_kills_and_stops_together_lose_nothing(tmp_path, point):
    paths = make_run(tmp_path, 8)
    chance = 3 if point.startswith("compact.") else 20
    environment = {"FSPOP_CRASH_AT": "commit.linked%50", "FSPOP_STOP_AT": f"{point}%{chance}"}
    with Committers(paths, 4, 5.0, 8, "--no-lock", **environment) as committers:
        committers.tend(stopped_s=0.1)
    assert committers.stops > 5
    assert check_nothing_lost(paths) > 50
