import json
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from fspop.errors import InvalidSetting, TaskError
from fspop.training import Callback, Trainer
from tests.training.trainers import Net, make, points, same, weights


def files(trainer):
    return sorted(path.name for path in trainer.checkpoints.folder.iterdir())


def test_the_plain_class_trains_with_nothing_but_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(Net(), train_dataset=points(256), num_epochs=1)
    trainer.fit()
    assert (trainer.epoch, trainer.iteration) == (1, 4)
    assert (tmp_path / "checkpoint" / "ck_epoch_1_iter_4").is_dir()
    assert "epoch 1/1 done" in capsys.readouterr().out


def test_training_learns(tmp_path):
    trainer = make(tmp_path, num_epochs=8, learning_rate=0.05)
    trainer.fit()
    accuracies = trainer.history.get("acc/val")
    assert len(accuracies) == 8 and accuracies[-1] > 0.9
    losses = trainer.history.get("loss/train")
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])


def test_six_epochs_of_ten_batches_give_a_checkpoint_at_every_tenth_iteration(tmp_path):
    trainer = make(tmp_path, num_epochs=6)
    trainer.fit()
    assert trainer.checkpoints.names() == [f"ck_epoch_{e}_iter_{10 * e}" for e in range(1, 7)]


def test_save_every_is_in_iterations_and_turns_the_best_weights_on(tmp_path):
    trainer = make(tmp_path, save_every=7, checkpoint_name="own", num_epochs=1)
    trainer.fit()
    assert trainer.checkpoints.names() == ["own_epoch_0_iter_7"]
    assert "best_own" in files(trainer) and "own_history.json" in files(trainer)


def test_a_one_batch_loader_is_saved_once_an_epoch(tmp_path):
    trainer = make(tmp_path, train_dataset=points(8), num_epochs=3)
    trainer.fit()
    assert trainer.checkpoints.names() == [f"ck_epoch_{e}_iter_{e}" for e in (1, 2, 3)]


def test_only_so_many_checkpoints_are_kept_as_asked_for(tmp_path):
    trainer = make(tmp_path, num_epochs=5, keep_checkpoints=2, save_best=True)
    trainer.fit()
    assert trainer.checkpoints.names() == ["ck_epoch_4_iter_40", "ck_epoch_5_iter_50"]
    kept = [name for name in files(trainer) if "_epoch_" in name]
    assert len(kept) == 3 and (trainer.checkpoints.folder / "best_ck").is_dir()


def test_a_finished_trainer_does_nothing_until_it_may_train_longer(tmp_path):
    trainer = make(tmp_path)
    trainer.fit()
    before, first = weights(trainer), trainer.history.get("loss/train")
    assert trainer.fit() is trainer.history and same(before, weights(trainer))
    trainer.set_num_epochs(4)
    trainer.fit()
    longer = trainer.history.get("loss/train")
    assert len(longer) == 4 * 10 and longer[:20] == first


def test_the_history_is_none_before_there_is_data(tmp_path):
    trainer = make(tmp_path)
    assert trainer.history.get("loss/train") is None and trainer.history.get("acc/val") is None


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


def test_train_epoch_and_val_epoch_may_be_pass(tmp_path):
    class Idle(Trainer):
        def train_epoch(self):
            pass

        def val_epoch(self):
            pass

    trainer = make(tmp_path, Idle, num_epochs=3, train_dataset=None)
    trainer.fit()
    assert (trainer.epoch, trainer.iteration) == (3, 3)
    trainer.train(4)
    assert (trainer.epoch, trainer.iteration) == (7, 7)
    with pytest.raises(InvalidSetting, match="train_dataset: got None"):
        make(tmp_path, train_dataset=None).fit()


def test_an_autoencoder_overrides_what_is_predicted(tmp_path):
    class Auto(Trainer):
        def predict(self, batch):
            inputs, _ = batch
            return self.network(inputs), inputs

    trainer = make(tmp_path, Auto, nn.Linear(4, 4), loss_function="MSELoss", num_epochs=3)
    trainer.fit()
    losses = trainer.history.get("loss/val")
    assert losses[-1] < losses[0]


def test_two_players_override_train_epoch_and_resume_in_its_middle(tmp_path):
    class Players(Trainer):
        """As a GAN: a second optimizer, and steps of its own."""

        def make_optimizer(self):
            self.second = torch.optim.SGD(self.model["b"].parameters(), lr=0.1, momentum=0.9)
            return torch.optim.SGD(self.model["a"].parameters(), lr=0.1, momentum=0.9)

        def train_epoch(self):
            for inputs, _ in self.batches():
                for optimizer, net in ((self.optimizer, "a"), (self.second, "b")):
                    optimizer.zero_grad()
                    loss = self.model[net](inputs).square().mean()
                    loss.backward()
                    optimizer.step()
                    self.log(f"loss_{net}/train", loss)

        def extra_state(self):
            return {"second": self.second.state_dict()}

        def load_extra_state(self, extra):
            self.second.load_state_dict(extra["second"])

        def val_epoch(self):
            self.log("size/val", self.model["b"].weight.norm())

    def build():
        model = lambda: nn.ModuleDict({"a": nn.Linear(4, 1), "b": nn.Linear(4, 1)})  # noqa: E731
        return make(tmp_path, Players, model)

    whole, halved, resumed = build(), build(), build()
    whole.train(15)
    halved.train(8)
    resumed.load_state_dict(halved.state_dict())
    resumed.train(7)
    assert same(weights(whole), weights(resumed)) and whole.history == resumed.history
    assert set(whole.evaluate()) == {"size"} and whole.history.count("loss_a/train") == 15


def test_a_broken_off_batch_is_given_again(tmp_path):
    seen = []

    class Failing(Trainer):
        def train_step(self, batch):
            seen.append(batch[0])
            if len(seen) == 3:
                raise KeyError("oops")

    trainer = make(tmp_path, Failing)
    with pytest.raises(KeyError):
        trainer.train(10)
    assert trainer.iteration == 2
    trainer.train(1)
    assert torch.equal(seen[2], seen[3]) and not torch.equal(seen[1], seen[2])


def test_breaking_out_of_the_batches_ends_the_epoch(tmp_path):
    class Short(Trainer):
        def train_epoch(self):
            for number, _ in enumerate(self.batches()):
                if number == 4:
                    break

    trainer = make(tmp_path, Short, num_epochs=3)
    trainer.fit()
    assert (trainer.epoch, trainer.iteration) == (3, 12)


def test_gradients_are_clipped(tmp_path):
    norms = []

    class Watching(Trainer):
        def optimize(self, loss):
            super().optimize(loss)

    trainer = make(tmp_path, Watching, clip_grad_norm=1e-3, optim_function="SGD", weight_decay=0.0)
    step = trainer.optimizer.step
    gradients = lambda: [p.grad for p in trainer.model.parameters()]  # noqa: E731
    trainer.optimizer.step = lambda *a: norms.append(nn.utils.get_total_norm(gradients())) or step()
    trainer.train(3)
    assert len(norms) == 3 and all(norm <= 1.001e-3 for norm in norms)


def test_accumulated_small_batches_are_one_large_batch(tmp_path):
    options = {"model": lambda: nn.Linear(4, 2), "shuffle": False, "optim_function": "SGD"}
    small = make(tmp_path, batch_size=4, accumulate_steps=2, **options)
    large = make(tmp_path, batch_size=8, **options)
    small.train(20)
    large.train(10)
    pairs = zip(small.model.parameters(), large.model.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("amp", [True, "bfloat16", "float16"])
def test_mixed_precision_trains_and_keeps_its_scale_in_the_checkpoint(tmp_path, amp):
    trainer = make(tmp_path, amp=amp, num_epochs=6, learning_rate=0.05)
    dtypes = []
    trainer.model.head.register_forward_hook(lambda _m, _i, out: dtypes.append(out.dtype))
    trainer.fit()
    assert set(dtypes) == {torch.float16 if amp == "float16" else torch.bfloat16}
    assert trainer.history.get("acc/val")[-1] > 0.8
    resumed = make(tmp_path, amp=amp)
    resumed.resume()
    assert resumed.scaler.state_dict() == trainer.scaler.state_dict()
    assert bool(resumed.scaler.state_dict()) == (amp == "float16")


def test_a_compiled_model_trains_and_its_checkpoint_is_that_of_the_plain_one(tmp_path):
    compiled = make(tmp_path, compile={"backend": "eager"})
    plain = make(tmp_path)
    compiled.train(2)
    plain.load_state_dict(compiled.state_dict())
    assert compiled.network is not compiled.model and same(weights(plain), weights(compiled))


class Scribe(Callback):
    """Writes down every hook that is called, and remembers how many."""

    def __init__(self):
        self.called = []

    def __getattribute__(self, name):
        if name.startswith(("before_", "after_", "on_")):
            self.called.append(name)
        return super().__getattribute__(name)

    def state_dict(self):
        return {"n": len(self.called)}

    def load_state_dict(self, state):
        self.called = ["earlier"] * state["n"]


def test_callbacks_are_called_in_pairs_and_their_memory_resumes(tmp_path):
    scribe = Scribe()
    make(tmp_path, callbacks=[scribe], num_epochs=1, train_dataset=points(16)).fit()
    around = ["before_validation", "after_validation", "after_epoch"]
    steps = ["before_step", "after_step"] * 2
    assert scribe.called == ["before_fit", "before_epoch", *steps, *around, "on_save", "after_fit"]
    fresh = Scribe()
    make(tmp_path, callbacks=[fresh], train_dataset=points(16)).resume()
    assert fresh.called[:-1] == ["earlier"] * (len(scribe.called) - 2)


def test_after_fit_is_called_when_training_raises_too_and_the_save_under_way_is_named(tmp_path):
    class Failing(Trainer):
        def train_step(self, batch):
            if self.iteration == 5:
                raise KeyError("oops")
            return super().train_step(batch)

    scribe = Scribe()
    trainer = make(tmp_path, Failing, callbacks=[scribe], save_every=5)
    with pytest.raises(KeyError):
        trainer.fit()
    assert scribe.called[-2:] == ["on_save", "after_fit"]
    assert trainer.checkpoints.names() == ["ck_epoch_0_iter_5"]


class Recorder:
    """What a SummaryWriter is told."""

    def __init__(self):
        self.scalars = []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, step, value))


def test_the_injected_writer_gets_the_history_once_and_never_backwards(tmp_path):
    options = {"lr_scheduler": "WarmRestart", "print_every": 5, "test_dataset": points(20)}
    first, second = Recorder(), Recorder()
    make(tmp_path, tb_writer=first, num_epochs=1, **options).fit()
    trainer = make(tmp_path, tb_writer=second, **options)
    trainer.resume()
    trainer.fit()
    tags = {"loss/train", "loss/val", "acc/val", "loss/test", "acc/test", "schedule/lr_0"}
    assert {tag for tag, *_ in first.scalars} == tags == {tag for tag, *_ in second.scalars}
    written = sorted(s for s in first.scalars + second.scalars if s[0] == "loss/train")
    assert written == [("loss/train", *point) for point in trainer.history.points("loss/train")]
    assert min(step for tag, step, _ in second.scalars) > 10 - 1


def test_the_history_is_saved_as_data(tmp_path):
    trainer = make(tmp_path, checkpoint_name="x")
    trainer.fit()
    data = json.loads((tmp_path / "checkpoint" / "x_history.json").read_text())
    assert data["history"]["loss/train"]["iterations"] == list(range(1, 21))
    silent = make(tmp_path / "other", save_hist=False)
    silent.fit()
    assert not silent.checkpoints.history_path.exists()


def test_a_bar_shows_on_a_terminal(tmp_path, capsys):
    make(tmp_path, verbose=True, progress_bar=True).fit()
    shown = capsys.readouterr().err
    assert "█" in shown and "epoch 2/2 done  loss/val" in shown


def test_lines_show_place_and_loss(tmp_path, capsys):
    make(tmp_path, verbose=True, print_every=4, test_dataset=points(20)).fit()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/2 batch 4/10  loss/train 0.")
    assert lines[-1].startswith("test  loss/test")


def test_a_ready_loader_trains_like_its_data_set_would(tmp_path):
    loader = DataLoader(points(), batch_size=8, shuffle=True, drop_last=True)
    ready = make(tmp_path, train_dataset=None, train_loader=loader, batch_size=99)
    plain = make(tmp_path)
    ready.train(15)
    plain.train(15)
    assert same(weights(ready), weights(plain))


def test_the_learning_rate_range_is_found_without_a_trace_and_feeds_a_schedule(tmp_path):
    trainer, plain = make(tmp_path), make(tmp_path)
    trainer.train(3)
    finder = trainer.find_lr(lr_min=1e-4, lr_max=1.0, num_epochs=1, lr_select_method="max_range")
    trainer.train(3)
    plain.train(6)
    assert same(weights(trainer), weights(plain))
    trainer.set_options(lr_scheduler=finder.schedule("Triangular", stepsize=4))
    rates = []
    for _ in range(8):
        trainer.train(1)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    low, high = finder.range()
    assert low <= min(rates) < max(rates) <= high


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
