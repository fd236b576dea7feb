import copy

import pytest
import torch
from torch import nn

from fspop.errors import HparamsNotApplied, TaskError
from fspop.training.integrations import loop_task
from tests.training.integrations.members import plain_loop
from tests.training.integrations.tasks import (
    begun,
    bits,
    goes_on_as_if_never_stopped,
    momenta,
    same,
)

HPARAMS = {"learning_rate": 0.05, "momentum": 0.8, "dropout": 0.3, "smooth": 0.1}
make = plain_loop.experiment.task


@pytest.mark.parametrize("before", [3, 10, 37])
def test_one_restored_anywhere_in_an_epoch_goes_on_to_the_same_bit(before, tmp_path):
    assert goes_on_as_if_never_stopped(make, HPARAMS, tmp_path, before=before, after=13)


def test_an_exploit_keeps_moments_and_place_and_its_rate_outlives_the_parents_schedule():
    with begun(make, HPARAMS) as parent:
        parent.train(35)  # in the fourth epoch: the schedule has divided by ten
        state = copy.deepcopy(parent.state_dict())
    hparams = {**HPARAMS, "learning_rate": 0.2, "momentum": 0.7, "dropout": 0.1}
    with begun(make, hparams, state) as child:
        assert {**child.effective_hparams(), "smooth": 0.1} == hparams
        kept, inherited = child.state_dict()["kept"], state["kept"]
        assert same(momenta(kept["optimizer"]), momenta(inherited["optimizer"]))
        assert same(list(kept["model"].values()), list(inherited["model"].values()))
        (group,) = kept["optimizer"]["param_groups"]
        assert (group["lr"], group["momentum"]) == (pytest.approx(0.02), 0.7)
        child.train(30)  # past the next milestone
        (group,) = child.state_dict()["kept"]["optimizer"]["param_groups"]
        assert group["lr"] == pytest.approx(0.002)
        assert child.state_dict()["feed"] == {"epoch": 6, "place": 40, "batch": 5}


def test_looking_changes_nothing(tmp_path):
    with begun(make, HPARAMS) as task:
        task.train(4)
        before = bits(task, tmp_path)
        assert task.evaluate() == task.evaluate()
        assert bits(task, tmp_path) == before


def test_a_batch_size_is_set_live_in_the_middle_of_an_epoch():
    with begun(make, {**HPARAMS, "batch_size": 8}) as task:
        task.train(2)
        task.apply_hparams({**HPARAMS, "batch_size": 32})
        assert task.effective_hparams()["batch_size"] == 32
        task.train(2)
        assert task.state_dict()["feed"] == {"epoch": 1, "place": 0, "batch": 0}


def test_an_hparam_that_the_loop_never_reads_is_an_error():
    with begun(make, {**HPARAMS, "smoth": 0.1}) as task:
        task.train(10)
        with pytest.raises(HparamsNotApplied, match=r"never read member.hparams\['smoth'\]"):
            task.evaluate()


def keeping(member):
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    member.keep(model=model, optimizer=optimizer, evaluate=lambda: 1.0)


def without_keep(member):
    for _ in member.steps():
        pass


def keeps_twice(member):
    keeping(member)
    keeping(member)


def breaks(member):
    keeping(member)
    for _ in member.epochs():
        for _ in member.batches([1, 2, 3]):
            break


def two_loaders(member):
    keeping(member)
    for _ in member.epochs():
        for _ in member.batches([1, 2, 3]):
            pass


def keeps_a_number(member):
    member.keep(model=nn.Linear(1, 1), best=1.0, evaluate=lambda: 1.0)


def ends(member):
    keeping(member)
    for _ in member.batches([1, 2]):
        pass


@pytest.mark.parametrize(
    ("train", "complaint"),
    [
        (without_keep, "its first step comes before member.keep"),
        (keeps_twice, r"keep\(\) is called twice"),
        (breaks, "without member.batches"),
        (two_loaders, "given a second loader"),
        (keeps_a_number, r"keep\(best=float\): it has no state_dict"),
        (ends, "its loop ended 3 steps too early"),
    ],
)
def test_a_loop_that_cannot_be_resumed_is_told_why(train, complaint):
    with pytest.raises(TaskError, match=complaint):
        with begun(loop_task(train), {}) as task:
            task.train(5)


def test_a_checkpoint_of_other_things_is_refused():
    with begun(make, HPARAMS) as task:
        state = task.state_dict()
    with pytest.raises(TaskError, match="but the checkpoint holds"):
        with begun(loop_task(keeping), HPARAMS, state):
            pass


def test_a_loop_without_a_loader_counts_steps_from_where_it_stood(tmp_path):
    seen = []

    def train(member):
        keeping(member)
        for step in member.steps():
            seen.append(step)

    with begun(loop_task(train), {"learning_rate": 0.1}) as task:
        task.train(3)
        state = task.state_dict()
    with begun(loop_task(train), {"learning_rate": 0.1}, state) as task:
        task.train(2)
    assert seen == [0, 1, 2, 3, 4]
