"""A refused setting leaves the trainer, its options, hparams and later checkpoints as they were."""

import copy
import operator

import pytest
import torch
from torch.optim import lr_scheduler

from fspop.errors import FspopError
from fspop.training import Trainer
from fspop.training.schedules import Triangular
from tests.training.trainers import Net, make, points


class Noisy(Trainer):
    noise = (0.5, 1.0)


def seen(trainer):
    """All that a setting may have changed."""
    groups = [{k: v for k, v in g.items() if k != "params"} for g in trainer.optimizer.param_groups]
    schedules = [{**each, "state": {**each["state"]}} for each in trainer.schedules.state()]
    drop, loader = trainer.model.body[2].p, trainer.train_loader
    parts = [trainer.hparams, trainer.feed.state(), trainer.stop_reason, drop]
    return copy.deepcopy([groups, schedules, *parts, trainer.noise, loader.batch_size]), (
        trainer.options,
        loader,
    )


@pytest.mark.parametrize(
    "refused",
    [
        lambda t: t.apply_hparams(
            {"dropout": 0.4, "noise": [1.0], "learning_rate": 0.2, "nope": 1}
        ),
        lambda t: t.apply_hparams({"learning_rate": 0.3, "batch_size": 10**6}),
        lambda t: t.apply_hparams({"clip_grad_norm": 2.0, "beta2": 0.5, "weight_decay": -1}),
        lambda t: t.set_batch_size(10**6),
        lambda t: t.set_options(learning_rate=0.3, batch_size=10**6),
        lambda t: t.set_options(train_dataset=points(0)),
        lambda t: t.set_options(val_dataset=points(10), batch_size=10**6),
        lambda t: t.set_options(lr_scheduler=Triangular(), num_workers=1, batch_size=10**6),
        lambda t: t.set_options(lr_scheduler="DecayWhenEpoch", mtm_scheduler="Nope"),
        lambda t: t.set_options(callbacks=[3], num_epochs=9),
    ],
)
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_refused_setting_changes_nothing(tmp_path, refused, scheduled):
    schedule = lambda o: lr_scheduler.StepLR(o, 3, 0.5)  # noqa: E731
    options = {"lr_scheduler": schedule, "mtm_scheduler": "InvTriangular"} if scheduled else {}
    trainer = make(tmp_path, Noisy, **options)
    trainer.apply_hparams({"dropout": 0.3})
    trainer.train(4)
    before, things = seen(trainer)
    with pytest.raises(FspopError):
        refused(trainer)
    after, same_things = seen(trainer)
    assert after == before and all(map(operator.is_, same_things, things))
    trainer.fit()
    assert make(tmp_path, Noisy, **options).resume()


def test_a_refused_momentum_does_not_stand_in_the_way_of_a_rate(tmp_path):
    trainer = Trainer(
        Net(), train_dataset=points(), batch_size=8, verbose=False, optim_function="Adagrad",
        checkpoint_dir=tmp_path,
    )  # fmt: skip
    with pytest.raises(FspopError, match="momentum"):
        trainer.set_momentum(0.9)
    trainer.set_learning_rate(0.2)
    assert trainer.optimizer.param_groups[0]["lr"] == 0.2 and trainer.hparams == {
        "learning_rate": 0.2
    }


def test_tensors_in_the_optimizer_are_put_back_too(tmp_path):
    def capturable(groups):
        return torch.optim.Adam(groups, lr=torch.tensor(0.25))

    trainer = make(tmp_path, optim_function=capturable, learning_rate=0.25)
    rate = trainer.optimizer.param_groups[0]["lr"]
    with pytest.raises(FspopError):
        trainer.apply_hparams({"learning_rate": 0.5, "nope": 1})
    assert trainer.optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25
