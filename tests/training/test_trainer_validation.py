"""When training validates, which weights are the best, when it stops."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler

from fspop.errors import InvalidSetting, TaskError
from fspop.training import Callback, Trainer
from fspop.training.task import Context
from tests.training.trainers import files, make, points, same, weights


def test_training_stops_at_the_epoch_that_reaches_the_accuracy(tmp_path):
    trainer = make(tmp_path, num_epochs=30, learning_rate=0.05, stop_when_acc=0.85)
    trainer.fit()
    accuracies = trainer.history.get("acc/val")
    assert accuracies[-1] >= 0.85 > max(accuracies[:-1], default=0) and trainer.epoch < 30
    assert "stop_when_acc=0.85" in trainer.stop_reason


class Scripted(Trainer):
    """Validates to what a script says."""

    script = ()

    def val_epoch(self):
        return {"accuracy": self.script[self.epoch], "loss": 1 - self.script[self.epoch]}


def test_training_stops_early_when_the_accuracy_no_longer_improves(tmp_path):
    script = (0.1, 0.3, 0.5, 0.6, 0.61, 0.62, 0.63, 0.9, 0.9)
    kind = type("Early", (Scripted,), {"script": script})
    stop = {"num_epochs": 3, "improv": 0.05}
    trainer = make(tmp_path, kind, num_epochs=9, early_stop=stop)
    trainer.fit()
    # 0.62 - 0.50 is enough; 0.63 - 0.60 is not.
    assert trainer.epoch == 7 and "improv=0.05" in trainer.stop_reason
    resumed = make(tmp_path, kind, num_epochs=9, early_stop=stop)
    resumed.resume()
    resumed.fit()
    assert resumed.epoch == 7


@pytest.mark.parametrize(("early_stop", "epochs"), [(None, 9), ({"num_epochs": 3, "improv": 0}, 9)])
def test_one_that_was_stopped_early_goes_on_where_the_options_would_not_stop_it(
    tmp_path, early_stop, epochs
):
    kind = type("Early", (Scripted,), {"script": (0.1, 0.3, 0.5, 0.6, 0.61, 0.62, 0.7, 0.8, 0.9)})
    make(tmp_path, kind, early_stop={"num_epochs": 2, "improv": 0.05}, num_epochs=5).fit()
    resumed = make(tmp_path, kind, num_epochs=9, early_stop=early_stop)
    assert resumed.resume() and resumed.epoch == 5 and not resumed.stop_reason
    resumed.fit()
    assert resumed.epoch == epochs


def test_one_that_stays_stopped_says_why(tmp_path, capsys):
    options = {"stop_when_acc": 0.01, "num_epochs": 9, "verbose": True}
    make(tmp_path, **options).fit()
    first = capsys.readouterr().out.splitlines()[-1]
    resumed = make(tmp_path, **options)
    resumed.resume()
    resumed.fit()
    assert capsys.readouterr().out.splitlines() == [first]
    assert first.startswith("stopped: accuracy") and resumed.epoch == 1


def test_a_reason_of_a_callbacks_own_is_kept(tmp_path):
    stop = type(
        "Stop", (Callback,), {"after_epoch": lambda _, t: setattr(t, "stop_reason", "mine")}
    )
    make(tmp_path, callbacks=[stop()]).fit()
    resumed = make(tmp_path)
    assert resumed.resume() and resumed.stop_reason == "mine"


@pytest.mark.parametrize(
    "asked",
    [{"save_best": True}, {"stop_when_acc": 0.9}, {"early_stop": {"num_epochs": 1, "improv": 0.1}}],
)
def test_what_follows_validations_is_refused_where_there_are_none(tmp_path, asked):
    with pytest.raises(InvalidSetting, match=rf"Trainer.{next(iter(asked))}: .*no validation set"):
        make(tmp_path, val_dataset=None, **asked).fit()
    with pytest.raises(InvalidSetting, match="val_every is 0"):
        make(tmp_path, val_every=0, **asked).fit()
    make(tmp_path, val_dataset=None, **asked).train(1)


def test_the_best_weights_are_those_of_the_best_validation(tmp_path):
    kind = type("Best", (Scripted,), {"script": (0.3, 0.8, math.nan, 0.8, 0.5)})
    trainer = make(tmp_path, kind, num_epochs=5, save_best=True, num_workers=0)
    trainer.fit()
    assert trainer.best == {"by": "accuracy", "value": 0.8, "iteration": 20}
    second = make(tmp_path, num_epochs=5)
    second.load_checkpoint(tmp_path / "checkpoint" / "best_ck")
    assert second.iteration == 20 and len([n for n in files(trainer) if n.startswith("best")]) == 2


def test_without_accuracy_the_loss_decides(tmp_path):
    options = {"loss_function": "MSELoss", "train_dataset": regression(), "save_best": True}
    trainer = make(tmp_path, model=nn.Linear(4, 1), val_dataset=regression(), **options)
    trainer.fit()
    assert trainer.best["by"] == "loss" and trainer.history.get("acc/val") is None
    assert trainer.best["value"] == min(trainer.history.get("loss/val"))


def regression():
    inputs = points().tensors[0]
    return torch.utils.data.TensorDataset(inputs, inputs.sum(1, keepdim=True))


def test_validation_is_exact_over_batches_of_any_size(tmp_path):
    trainer = make(tmp_path, val_batch_size=7)
    metrics = trainer.evaluate()
    inputs, targets = points(30, seed=1).tensors
    trainer.model.eval()
    outputs = trainer.model(inputs)
    assert metrics["loss"] == pytest.approx(nn.functional.cross_entropy(outputs, targets).item())
    assert metrics["accuracy"] == (outputs.argmax(1) == targets).sum().item() / 30


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, (8, 8)),
        ({"val_batch_size": 5}, (5, 5)),
        ({"test_batch_size": 3}, (3, 3)),
        ({"val_batch_size": 5, "test_batch_size": 3}, (5, 3)),
    ],
)
def test_val_and_test_batch_size_stand_in_for_each_other(tmp_path, sizes, expected):
    trainer = make(tmp_path, test_dataset=points(20), **sizes)
    assert (trainer.val_loader.batch_size, trainer.test_loader.batch_size) == expected


def test_the_test_set_is_measured_once_at_the_end_and_decides_nothing(tmp_path):
    looked = []
    kind = type("T", (Trainer,), {"test_epoch": lambda self: looked.append(self.epoch) or {"x": 1}})
    options = {"num_epochs": 3, "save_best": True, "test_dataset": points(20)}
    trainer, plain = make(tmp_path / "a", kind, **options), make(tmp_path / "b", num_epochs=3)
    trainer.fit()
    plain.fit()
    assert looked == [3] and trainer.history.get("x/test") == [1]
    assert same(weights(trainer), weights(plain))
    assert trainer.history.get("loss/val") == plain.history.get("loss/val")
    trainer.fit()
    assert looked == [3]


def test_a_trainer_without_validation_says_so_when_asked_for_a_score(tmp_path):
    trainer = make(tmp_path, val_dataset=None)
    trainer.fit()
    with pytest.raises(TaskError, match=r"evaluate: there is no validation set; give val_dataset"):
        trainer.evaluate()


def test_a_stop_that_needs_accuracy_says_so(tmp_path):
    kind = type("Loss", (Trainer,), {"val_epoch": lambda self: {"loss": 1.0}})
    with pytest.raises(InvalidSetting, match=r"stop_when_acc.*need an accuracy.*measured loss"):
        make(tmp_path, kind, stop_when_acc=0.5).fit()


def test_validation_takes_place_every_so_many_epochs(tmp_path):
    trainer = make(tmp_path, num_epochs=6, val_every=2)
    trainer.fit()
    assert [i for i, _ in trainer.history.points("acc/val")] == [20, 40, 60]
    assert make(tmp_path, val_every=0).fit().get("acc/val") is None


def binary(n, seed, dtype=torch.float32):
    """Points with one target each, in a column."""
    inputs, targets = points(n, seed).tensors
    return torch.utils.data.TensorDataset(inputs, targets[:, None].to(dtype))


class Chance(nn.Module):
    """The chance of the class 1 instead of its logit."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x):
        return self.layer(x).sigmoid()


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (lambda: nn.Linear(4, 1), "BCEWithLogitsLoss"),
        (lambda: nn.Linear(4, 1), nn.functional.binary_cross_entropy_with_logits),
        (Chance, "BCELoss"),
    ],
)
def test_one_output_tells_two_classes_apart_where_the_loss_says_how(tmp_path, model, loss):
    data = {"train_dataset": binary(80, 0), "val_dataset": binary(30, 1)}
    trainer = make(tmp_path, model=model, loss_function=loss, **data)
    trainer.fit()
    inputs, targets = binary(30, 1).tensors
    right = (trainer.model(inputs) > (0.5 if model is Chance else 0)) == (targets > 0.5)
    assert trainer.evaluate()["accuracy"] == right.sum().item() / 30
    assert len(trainer.history.get("acc/train")) == 2


def test_one_output_gives_no_accuracy_where_only_the_user_knows_its_meaning(tmp_path):
    def loss(outputs, targets):
        bce = nn.functional.binary_cross_entropy_with_logits
        return bce(outputs.squeeze(1), targets.float())

    trainer = make(tmp_path, model=lambda: nn.Linear(4, 1), loss_function=loss)
    trainer.fit()
    assert set(trainer.evaluate()) == {"loss"} and trainer.history.get("acc/train") is None


@pytest.mark.parametrize("ignored", [-100, 0])
def test_targets_that_the_loss_ignores_do_not_count_for_the_accuracy(tmp_path, ignored):
    inputs, targets = points(30, seed=1).tensors
    targets = torch.where(torch.arange(30) % 3 == 0, targets, ignored)
    data = torch.utils.data.TensorDataset(inputs, targets)
    options = {"loss_options": {"ignore_index": ignored}, "train_dataset": data, "batch_size": 30}
    trainer = make(tmp_path, val_dataset=data, val_batch_size=7, **options)
    found = trainer.evaluate()["accuracy"]
    right = trainer.model.eval()(inputs).argmax(1) == targets
    counted = (targets != ignored).sum().item()
    assert found == right[targets != ignored].sum().item() / counted
    share = trainer.fit().get("acc/train")[0] * counted
    assert share == pytest.approx(round(share))


@pytest.mark.parametrize("alone", [True, False])
def test_an_evaluation_is_that_of_the_weights_and_data_of_now(tmp_path, alone):
    trainer = make(tmp_path)
    if not alone:
        trainer.setup(Context(member=0, generation="0", hparams={}, seed=1))
    trainer.train(10)  # which ends with a validation
    before = trainer.evaluate()
    with torch.no_grad():
        trainer.model.head.weight.mul_(-1)
    turned = trainer.evaluate()
    trainer.set_options(val_dataset=points(40, seed=7))
    other = trainer.evaluate()
    assert before["loss"] == trainer.history.get("loss/val")[0]
    assert len({each["loss"] for each in (before, turned, other)}) == 3


def test_a_member_does_not_measure_twice_what_the_end_of_an_epoch_has_measured(tmp_path):
    trainer = make(tmp_path, type("S", (Scripted,), {"script": (0.1, 0.2, 0.3)}))
    trainer.setup(Context(member=0, generation="0", hparams={}, seed=1))
    trainer.train(10)
    assert trainer.evaluate()["accuracy"] == 0.1 and trainer.epoch == 1


class Looking(Callback):
    """Measures and sweeps in the middle of an epoch."""

    def after_step(self, trainer):
        if trainer.iteration == 3:
            trainer.evaluate()
            trainer.find_lr(num_epochs=1, lr_select_method="min_loss", max_batches=3)


class Logging(Trainer):
    def predict(self, batch):
        self.log("mean", batch[0].mean())
        return super().predict(batch)


def test_a_look_in_the_middle_of_an_epoch_leaves_no_trace(tmp_path):
    def fitted(name, *callbacks):
        data, generator = points(80), torch.Generator()
        sampler = RandomSampler(data, replacement=True, generator=generator)
        loader = DataLoader(data, 8, sampler=sampler, generator=generator)
        data = {"train_dataset": None, "train_loader": loader, "callbacks": callbacks}
        data |= {"val_dataset": None, "val_loader": loader}
        trainer = make(tmp_path / name, Logging, **data)
        trainer.fit()
        return trainer

    looked, plain = fitted("a", Looking()), fitted("b")
    assert same(weights(looked), weights(plain)) and looked.history == plain.history


def test_an_evaluation_leaves_a_model_in_evaluation_mode_where_it_was(tmp_path):
    trainer = make(tmp_path)
    trainer.model.body.eval()
    before = [module.training for module in trainer.model.modules()]
    trainer.evaluate()
    assert before == [module.training for module in trainer.model.modules()]
    trainer.model.eval()
    trainer.evaluate()
    assert not any(module.training for module in trainer.model.modules())
