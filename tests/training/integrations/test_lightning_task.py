import copy
import sys

import pytest
import torch
from torch.optim import lr_scheduler as lrs
from torch.utils.data import DataLoader

from fspop.errors import ConfigurationError, HparamsNotApplied, InvalidSetting, TaskError
from fspop.training.integrations import LightningTask
from tests.training.integrations.tasks import (
    begun,
    bits,
    goes_on_as_if_never_stopped,
    momenta,
    same,
)

HPARAMS = {
    "learning_rate": 0.05, "momentum": 0.8, "dropout": 0.3, "smooth": 0.1, "batch_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def lit(members):
    return members("lit")


@pytest.mark.parametrize("before", [3, 10, 27])
def test_one_restored_anywhere_in_an_epoch_goes_on_to_the_same_bit(before, lit, tmp_path):
    assert goes_on_as_if_never_stopped(lit.Member, HPARAMS, tmp_path, before=before, after=12)


def test_an_exploit_keeps_moments_and_its_rate_outlives_the_parents_schedule(lit):
    with begun(lit.Member, HPARAMS) as parent:
        parent.train(25)
        state = copy.deepcopy(parent.state_dict())
    hparams = {**HPARAMS, "learning_rate": 0.2, "momentum": 0.7, "smooth": 0.0, "batch_size": 10}
    with begun(lit.Member, hparams, state) as child:
        assert child.effective_hparams() == hparams
        assert child.module.hparams["learning_rate"] == 0.2
        found = child.state_dict()
        assert same(momenta(found["optimizer_states"][0]), momenta(state["optimizer_states"][0]))
        assert same(list(found["state_dict"].values()), list(state["state_dict"].values()))
        (was,) = state["optimizer_states"][0]["param_groups"]
        child.train(1)
        (group,) = child.trainer.optimizers[0].param_groups
        assert was["lr"] * 3.8 < group["lr"] < was["lr"] * 4
        assert child.trainer.callbacks[0].seen == 26


def test_hooks_of_a_restored_one_see_the_epoch_and_step_where_it_is(lit):
    seen = []

    class Watching(lit.Lit):
        def on_train_epoch_start(self):
            seen.append((self.trainer.current_epoch, self.trainer.global_step))

    class Member(lit.Member):
        def build(self, context):
            return Watching(), super().build(context)[1]

    with begun(Member, HPARAMS) as task:
        task.train(25)
        state = copy.deepcopy(task.state_dict())
    with begun(Member, HPARAMS, state) as task:
        task.train(10)
    assert seen == [(0, 0), (1, 10), (2, 20), (2, 25), (3, 30)]


def test_looking_changes_nothing(lit, tmp_path):
    with begun(lit.Member, HPARAMS) as task:
        task.train(4)
        before = bits(task, tmp_path)
        assert task.evaluate() == task.evaluate()
        assert bits(task, tmp_path) == before
        assert set(task.scalars()) >= {"train_loss"}


def test_early_stopping_stops_nobody(lit):
    import pytorch_lightning as pl

    class Member(lit.Member):
        def build(self, context):
            stop = pl.callbacks.EarlyStopping("val_loss", patience=1, min_delta=100.0)
            self.trainer_options = {"callbacks": [stop], "check_val_every_n_epoch": 1}
            return lit.Lit(), (DataLoader(lit.DATA, 8), DataLoader(lit.DATA, 40))

    with begun(Member, HPARAMS) as task:
        task.train(45)
        assert task.trainer.current_epoch == 4


@pytest.mark.parametrize("where", ["data module", "module"])
def test_the_data_may_come_from_a_data_module_or_the_module(where, lit, tmp_path):
    import pytorch_lightning as pl

    class Loaders:
        def train_dataloader(self):
            return DataLoader(lit.DATA, 8, shuffle=True)

        def val_dataloader(self):
            return DataLoader(lit.DATA, 40)

    class Data(Loaders, pl.LightningDataModule):
        pass

    class WithData(Loaders, lit.Lit):
        pass

    class Member(LightningTask):
        def build(self, context):
            return (lit.Lit(), Data()) if where == "data module" else (WithData(), None)

    assert goes_on_as_if_never_stopped(Member, HPARAMS, tmp_path, before=13, after=8)


class Endless:
    def __iter__(self):
        return iter([[torch.zeros(2, 4), torch.zeros(2).long()]] * 3)


@pytest.mark.parametrize(
    ("loader", "kind", "complaint"),
    [
        (Endless(), InvalidSetting, "its length is unknown"),
        ([[], []], TaskError, "several training loaders"),
    ],
)
def test_training_data_that_cannot_be_resumed_is_refused(loader, kind, complaint, lit):
    class Member(LightningTask):
        def build(self, context):
            return lit.Lit(), (loader, DataLoader(lit.DATA, 40))

    with pytest.raises(kind, match=complaint):
        with begun(Member, {}):
            pass


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
def test_no_validation_is_an_error_that_says_so(lit):
    class Member(LightningTask):
        def build(self, context):
            return lit.Lit(), (DataLoader(lit.DATA, 8), None)

    with begun(Member, {"learning_rate": 0.1}) as task:
        with pytest.raises(TaskError, match="validation loop logged no metric"):
            task.evaluate()


def test_without_lightning_the_extra_is_named(monkeypatch):
    for name in ("lightning", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"pip install 'fspop\[lightning\]'"):
        LightningTask().setup(None)


def test_two_optimizers_stepped_by_hand_are_both_kept_and_set(lit, tmp_path):
    class Adversaries(lit.Lit):
        automatic_optimization = False

        def training_step(self, batch):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                self.manual_backward(
                    torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
                )
                optimizer.step()

        def configure_optimizers(self):
            halves = self.net[0].parameters(), self.net[3].parameters()
            return [torch.optim.SGD(half, lr=0.1, momentum=0.9) for half in halves]

    class Member(lit.Member):
        def build(self, context):
            return Adversaries(), super().build(context)[1]

    assert goes_on_as_if_never_stopped(Member, HPARAMS, tmp_path, before=13, after=9)
    with begun(Member, HPARAMS) as task:
        groups = [optimizer.param_groups[0] for optimizer in task.trainer.optimizers]
        assert [(each["lr"], each["momentum"]) for each in groups] == [(0.05, 0.8)] * 2


def test_a_momentum_that_a_schedule_sets_at_each_step_cannot_be_an_hparam(lit):
    class Cycling(lit.Lit):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    class Member(lit.Member):
        def build(self, context):
            return Cycling(), super().build(context)[1]

    with pytest.raises(HparamsNotApplied, match="OneCycleLR sets the momentum at each step"):
        with begun(Member, HPARAMS):
            pass
    with begun(Member, {"learning_rate": 0.3}) as task:
        assert task.trainer.optimizers[0].param_groups[0]["max_lr"] == 0.3


def test_what_happens_at_the_ends_of_epochs_happens_in_a_restored_one_too(lit, tmp_path):
    class Stepwise(lit.Lit):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
            plateau = lrs.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=1e9)
            schedules = [
                lrs.StepLR(optimizer, 1, 0.5),
                {"scheduler": plateau, "monitor": "val_loss"},
            ]
            return [optimizer], schedules

    class Member(lit.Member):
        def build(self, context):
            data = super().build(context)[1]
            self.trainer_options = {"accumulate_grad_batches": 4, "check_val_every_n_epoch": 1}
            return Stepwise(), data

    hparams = {**HPARAMS, "learning_rate": 0.08}
    assert goes_on_as_if_never_stopped(Member, hparams, tmp_path, before=14, after=8)
    with begun(Member, hparams) as task:
        task.train(24)
        state = copy.deepcopy(task.state_dict())
    with begun(Member, hparams, state) as task:
        task.train(6)  # to the end of the epoch, where the last two batches are a step
        assert task.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.08 / 4**3)
        assert (task.trainer.current_epoch, task.trainer.global_step) == (3, 9)
