"""Processes that commit without the lock and are stopped at any instruction: nothing acknowledged
is lost.
"""

import pytest

from fspop.storage import crash
from tests.chaos.committers import Committers
from tests.storage.processes import check_nothing_lost
from tests.storage.stores import begin, make_paths, small_log

COMMIT_POINTS = [point for point in crash.POINTS if point.startswith(("commit.", "compact."))]


def make_run(root, size):
    paths = make_paths(root)
    begin(small_log(paths, size))
    return paths


def test_a_few_seconds_of_stopping_lose_nothing(tmp_path):
    paths = make_run(tmp_path, 16)
    with Committers(paths, 4, 4.0, 16, "--no-lock") as committers:
        committers.stop_at_random(seed=1, stopped_s=0.1, pause_s=0.01)
    assert committers.stops > 50
    assert check_nothing_lost(paths, 16) > 100


def test_a_few_seconds_of_stopping_just_before_the_link_lose_nothing(tmp_path):
    paths = make_run(tmp_path, 8)
    environment = {"FSPOP_STOP_AT": "commit.built%10"}
    with Committers(paths, 4, 4.0, 8, "--no-lock", **environment) as committers:
        committers.tend(stopped_s=0.1)
    assert committers.stops > 10
    assert check_nothing_lost(paths) > 50


@pytest.mark.chaos
@pytest.mark.parametrize("size", [8, 64])
def test_half_a_minute_of_stopping_loses_nothing(tmp_path, size):
    paths = make_run(tmp_path, size)
    with Committers(paths, 6, 25.0, size, "--no-lock") as committers:
        committers.stop_at_random(seed=size, pause_s=0.02)
    assert check_nothing_lost(paths, size) > 500


def test_a_few_seconds_of_offers_not_kept_lose_nothing(tmp_path):
    paths = make_run(tmp_path, 16)
    environment = {"FSPOP_STOP_AT": "commit.written%10"}
    with Committers(paths, 4, 4.0, 16, "--pipelined", **environment) as committers:
        committers.tend(stopped_s=0.1)
    assert committers.stops > 10
    assert check_nothing_lost(paths, 16) > 50


@pytest.mark.chaos
@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_stopping_just_there_loses_nothing(tmp_path, point):
    paths = make_run(tmp_path, 16)
    chance = 3 if point.startswith("compact.") else 15
    environment = {"FSPOP_STOP_AT": f"{point}%{chance}"}
    with Committers(paths, 6, 6.0, 16, "--no-lock", **environment) as committers:
        committers.tend()
    assert committers.stops > 5
    assert check_nothing_lost(paths, 16) > 100


@pytest.mark.chaos
@pytest.mark.parametrize("flags", [[], ["--pipelined"]], ids=["", "pipelined"])
def test_stopping_with_the_lock_loses_nothing_either(tmp_path, flags):
    paths = make_run(tmp_path, 64)
    with Committers(paths, 6, 20.0, 64, *flags) as committers:
        committers.stop_at_random(seed=3, pause_s=0.05)
    assert check_nothing_lost(paths, 64) > 100
