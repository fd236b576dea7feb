import pytest
import torch
from torch import nn

from fspop.errors import HparamsNotApplied
from fspop.training import Context, TorchTask
from fspop.training.hparam_places import places

SGD = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01, "dropout": 0.2}


class Line(TorchTask):
    """Fits a line; `make` builds its optimizer."""

    make = staticmethod(lambda groups: torch.optim.SGD(groups, lr=9.0, momentum=0.5))

    def build(self, context):
        model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9), nn.Dropout1d(0.9), nn.Linear(3, 1))
        groups = [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 5.0}]
        return model, self.make(groups)

    def train_step(self, step):
        self.optimizer.zero_grad()
        self.model(torch.ones(4, 2) * step).square().mean().backward()
        self.optimizer.step()

    def evaluate(self):
        return 0.0


def started(hparams, task=None, step=0):
    torch.manual_seed(0)
    task = task or Line()
    task.setup(Context(member=0, generation="m000.g0000", hparams=hparams, seed=1, step=step))
    task.apply_hparams(hparams)
    return task


def with_optimizer(make, **attributes):
    return type("Other", (Line,), {"make": staticmethod(make), **attributes})()


def test_hparams_reach_every_group_and_every_dropout_layer():
    task = started(SGD)
    assert [g["lr"] for g in task.optimizer.param_groups] == [0.1, 0.1]
    assert [g["momentum"] for g in task.optimizer.param_groups] == [0.9, 0.9]
    assert [g["weight_decay"] for g in task.optimizer.param_groups] == [0.01, 0.01]
    assert [task.model[1].p, task.model[2].p] == [0.2, 0.2]
    assert task.effective_hparams() == SGD


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam])
def test_momentum_is_the_first_beta_where_the_optimizer_has_betas(make):
    hparams = {"lr": 0.1, "momentum": 0.8, "beta2": 0.95, "dropout": 0.0}
    task = started(hparams, with_optimizer(make))
    assert [g["betas"] for g in task.optimizer.param_groups] == [(0.8, 0.95), (0.8, 0.95)]
    assert task.effective_hparams() == hparams
    task.apply_hparams({"betas": [0.5, 0.6]})
    assert task.effective_hparams() == {"betas": [0.5, 0.6]}


def test_a_learning_rate_held_in_a_tensor_is_changed_in_place():
    task = with_optimizer(lambda groups: torch.optim.Adam(groups, lr=torch.tensor(0.25)))
    task = started({"lr": 0.25}, task)
    held = task.optimizer.param_groups[0]["lr"]
    task.apply_hparams({"lr": 0.5})
    assert held.item() == 0.5 and task.effective_hparams() == {"lr": 0.5}


@pytest.mark.parametrize("make", [lambda g: torch.optim.SGD(g, momentum=0.5), torch.optim.Adam])
def test_a_parents_hparams_do_not_come_back_with_its_optimizer_but_its_moments_do(make):
    parent = started({**SGD, "learning_rate": 1e-3}, with_optimizer(make))
    parent.train(3)
    child = started({}, with_optimizer(make), step=3)
    child.load_state_dict(parent.state_dict())
    child.apply_hparams(SGD)
    assert child.effective_hparams() == SGD and child.step == 3
    assert child.optimizer.state_dict()["state"], "no moments were restored"
    moments = zip(child.optimizer.state.values(), parent.optimizer.state.values(), strict=True)
    for mine, theirs in moments:
        assert all(torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine)


def test_effective_hparams_are_read_back_not_remembered():
    task = started(SGD)
    task.optimizer.param_groups[1]["lr"] = 0.7
    task.model[1].p = 0.6
    effective = task.effective_hparams()
    assert effective["learning_rate"] == [0.1, 0.7] and effective["dropout"] == [0.6, 0.2]


def test_training_on_from_a_loaded_state_leaves_the_state_alone():
    parent = started(SGD)
    parent.train(2)
    state = parent.state_dict()
    before = [s["momentum_buffer"].clone() for s in state["optimizer"]["state"].values()]
    child = started(SGD)
    child.load_state_dict(state)
    child.train(2)
    after = [s["momentum_buffer"] for s in state["optimizer"]["state"].values()]
    assert all(map(torch.equal, before, after))


def test_a_name_without_a_place_is_an_error_until_the_subclass_takes_it():
    with pytest.raises(HparamsNotApplied, match=r"width=7: Line has nowhere.*apply_other"):
        started({"width": 7})
    taken = {}
    task = with_optimizer(Line.make, apply_other=lambda _, name, value: taken.update({name: value}))
    assert started({"width": 7, "lr": 0.1}, task).effective_hparams() == {"lr": 0.1}
    assert taken == {"width": 7} and task.hparams == {"width": 7, "lr": 0.1}


def test_hparams_without_names_are_an_error():
    with pytest.raises(HparamsNotApplied, match=r"got 0\.1"):
        started(0.1)


def test_extra_state_goes_along():
    class Counting(Line):
        seen = 0

        def train_step(self, step):
            self.seen += 1

        def extra_state(self):
            return {"seen": self.seen}

        def load_extra_state(self, extra):
            self.seen = extra["seen"]

    first = started({}, Counting())
    first.train(5)
    second = started({}, Counting())
    second.load_state_dict(first.state_dict())
    assert second.seen == 5 and second.step == 5


def test_a_task_without_build_says_so():
    with pytest.raises(TypeError, match="Bare does not define build"):
        started({}, type("Bare", (TorchTask,), {})())


def test_no_place_is_found_for_what_the_optimizer_lacks():
    task = started({})
    assert places(task.model, task.optimizer, "beta2") == []
    assert len(places(task.model, task.optimizer, "lr")) == 2
