"""What torchrun says about a process, and what anybody else may say."""

import pytest

from fspop.errors import ConfigurationError, RankLost, TaskRaised
from fspop.training.ranks import ALONE, Ranks
from fspop.worker.torchrun import Launched, check_alike, find_ranks, ignored, launched

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}


def test_torchrun_makes_ranks_and_nobody_else_does():
    assert launched(TORCHRUN) == Launched(1, 2, 1)
    assert launched({**TORCHRUN, "WORLD_SIZE": "1"}) is None
    assert launched({"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "1"}) is None
    assert launched({}) is None


def test_a_world_size_that_counts_for_nothing_is_said():
    assert (
        ignored({}) is None and ignored(TORCHRUN) is None and ignored({"WORLD_SIZE": "1"}) is None
    )
    assert "WORLD_SIZE=8 is set, but not by torchrun" in ignored({"WORLD_SIZE": "8"})


def test_half_of_an_environment_is_refused():
    with pytest.raises(ConfigurationError, match="LOCAL_RANK"):
        launched({name: value for name, value in TORCHRUN.items() if name != "LOCAL_RANK"})


def test_a_rank_does_not_take_a_device_of_another_one(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="a device of its own"):
        find_ranks("cuda:1", "0", 1.0)


def test_a_process_by_itself_is_its_own_only_rank():
    assert ALONE.each(lambda: 3) == [3] and ALONE.share(lambda: 4) == 4
    assert ALONE.together(lambda: 5) == 5 and ALONE.channel() is ALONE
    ALONE.tell("nobody hears it")
    check_alike(ALONE, "0", "run", "/dir")


def test_a_lost_rank_is_told_without_the_library_s_own_source_lines():
    cause = RuntimeError("[/home/x/gloo/pair.cc:53] Connection closed by peer [::1]:53. Check it.")
    lost = Ranks(1, 4).lost(cause)
    assert type(lost) is RankLost and lost.exit_code == 75
    assert "rank 1 of 4: another rank of this worker is gone (Connection closed by peer" in str(
        lost
    )
    assert "pair.cc" not in str(lost)


class Store(dict):
    """What a rank of c10d leaves its last word in."""

    def check(self, keys):
        return all(key in self for key in keys)

    def get(self, key):
        return self[key].encode()


def test_the_last_word_of_a_rank_is_what_is_on_record():
    store = Store({"fspop/failed": "rank 2: train: the data is gone"})
    assert isinstance(Ranks(0, 4, store=store).lost(RuntimeError("x")), TaskRaised)
    assert isinstance(Ranks(1, 4, store=store).lost(RuntimeError("x")), RankLost)
