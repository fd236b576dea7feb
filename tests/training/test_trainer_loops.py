"""Loops of another shape, and what an optimizer step is made of."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

from fspop.errors import InvalidSetting
from fspop.training import Trainer
from tests.training.trainers import make, points, same, weights


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


class AutoEncoder(Trainer):
    def predict(self, batch):
        inputs, _ = batch
        return self.network(inputs), inputs


def test_an_autoencoder_overrides_what_is_predicted(tmp_path):
    trainer = make(tmp_path, AutoEncoder, nn.Linear(4, 4), loss_function="MSELoss", num_epochs=3)
    trainer.fit()
    losses = trainer.history.get("loss/val")
    assert losses[-1] < losses[0]


def test_the_learning_rate_range_of_another_kind_of_batch_is_found_too(tmp_path):
    written = []
    writer = SimpleNamespace(add_scalar=lambda tag, value, step: written.append(tag))
    options = {"loss_function": "MSELoss", "tb_writer": writer, "amp": True}
    trainer = make(tmp_path, AutoEncoder, nn.Linear(4, 4), **options)
    finder = trainer.find_lr(num_epochs=1, lr_select_method="min_loss", acc_test=False)
    assert finder.range().lr_min < finder.range().lr_max
    assert "lr_find/smooth_loss" in written


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


class Changing(Trainer):
    """Sets options at the fourth step of the first epoch, and notes each first input."""

    changes: ClassVar = {}

    def train_step(self, batch):
        self.seen = [*getattr(self, "seen", []), batch[0][0, 0].item()]
        if self.iteration == 3:
            self.set_options(**self.changes)
        return super().train_step(batch)


@pytest.mark.parametrize(
    "changes", [{"val_batch_size": 5}, {"val_dataset": points(9)}, {"num_workers": 1}]
)
def test_options_that_leave_the_order_of_the_data_leave_the_place_in_them(tmp_path, changes):
    plain = make(tmp_path / "plain", Changing, num_epochs=1)
    plain.fit()
    changing = make(tmp_path, type("C", (Changing,), {"changes": changes}), num_epochs=1)
    changing.fit()
    assert changing.seen == plain.seen and same(weights(changing), weights(plain))


@pytest.mark.parametrize("changes", [{"train_dataset": points(80, seed=4)}, {"shuffle": False}])
def test_new_training_data_begin_with_their_first_batch(tmp_path, changes):
    changing = make(tmp_path, type("C", (Changing,), {"changes": changes}), num_epochs=1)
    changing.fit()
    assert (changing.epoch, changing.iteration) == (1, 14)
    assert len(set(changing.seen[4:])) == 10


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
    resumed = make(tmp_path, amp=amp, learning_rate=0.05)
    resumed.resume()
    assert resumed.scaler.state_dict() == trainer.scaler.state_dict()
    assert bool(resumed.scaler.state_dict()) == (amp == "float16")


def test_a_compiled_model_trains_and_its_checkpoint_is_that_of_the_plain_one(tmp_path):
    compiled = make(tmp_path, compile={"backend": "eager"})
    plain = make(tmp_path)
    compiled.train(2)
    plain.load_state_dict(compiled.state_dict())
    assert compiled.network is not compiled.model and same(weights(plain), weights(compiled))
