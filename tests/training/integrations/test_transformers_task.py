import copy
import sys

import pytest
import torch

from fspop.errors import ConfigurationError, HparamsNotApplied
from fspop.training.integrations import TransformersTask
from fspop.training.integrations.seeded import SeededLoader
from tests.training.integrations.tasks import begun, bits, goes_on_as_if_never_stopped, same

HPARAMS = {"learning_rate": 0.005, "weight_decay": 0.05, "dropout": 0.2, "batch_size": 8}


@pytest.fixture(scope="module")
def bert(members):
    return members("bert")


@pytest.mark.parametrize("before", [3, 10, 27])
def test_one_restored_anywhere_in_an_epoch_goes_on_to_the_same_bit(before, bert, tmp_path):
    assert goes_on_as_if_never_stopped(bert.Member, HPARAMS, tmp_path, before=before, after=12)


def test_an_exploit_keeps_moments_and_its_rate_outlives_the_parents_schedule(bert):
    with begun(bert.Member, HPARAMS) as parent:
        parent.train(25)
        state = copy.deepcopy(parent.state_dict())
    hparams = {**HPARAMS, "learning_rate": 0.02, "weight_decay": 0.002, "dropout": 0.1}
    with begun(bert.Member, hparams, state) as child:
        assert child.effective_hparams() == hparams
        found = child.state_dict()
        assert same(list(found["model"].values()), list(state["model"].values()))
        moments = [[e["exp_avg"] for e in s["optimizer"]["state"].values()] for s in (found, state)]
        assert same(*moments)
        child.train(1)
        decayed, plain = child.state_dict()["optimizer"]["param_groups"]
        was = state["optimizer"]["param_groups"][0]["lr"]
        assert was * 3.7 < decayed["lr"] < was * 4
        assert (decayed["weight_decay"], plain["weight_decay"]) == (0.002, 0.0)
        assert child.trainer.state.global_step == 26


def test_looking_changes_nothing(bert, tmp_path):
    with begun(bert.Member, HPARAMS) as task:
        task.train(6)
        before = bits(task, tmp_path)
        assert task.evaluate() == task.evaluate()
        assert set(task.evaluate()) == {"eval_loss"}
        assert bits(task, tmp_path) == before
        assert "loss" in task.scalars()


def test_it_trains_to_the_last_step_and_can_be_asked_then(bert, tmp_path):
    with begun(bert.Member, HPARAMS, total_steps=12) as task:
        task.train(12)
        assert task.evaluate()["eval_loss"] > 0
        assert task.state_dict()["trainer_state"]["global_step"] == 12


def test_an_hparam_without_a_place_is_refused(bert):
    with pytest.raises(HparamsNotApplied, match="layer_drop"):
        with begun(bert.Member, {**HPARAMS, "layer_drop": 0.1}):
            pass


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'fspop\[transformers\]'"):
        TransformersTask().setup(None)


class Noise:
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index + torch.rand(1).item()


def test_a_seeded_batch_is_the_same_whoever_draws_meanwhile():
    def batches(epoch, draws):
        loader = SeededLoader(Noise(), 4, list, seed=3, shuffle=True, drop_last=False)
        loader.set_epoch(epoch)
        for batch in loader:
            torch.rand(draws)
            yield batch

    assert list(batches(1, 0)) == list(batches(1, 5)) != list(batches(2, 0))
    assert sorted(int(each) for batch in batches(1, 0) for each in batch) == list(range(10))
