"""A trainer made from nothing but a checkpoint."""

from fspop.training import Trainer, load_model
from tests.training.trainers import Net, make, points, same, weights

QUIET = {"train_dataset": points(), "val_dataset": points(30, seed=1), "verbose": False}


def test_what_a_checkpoint_made_writes_checkpoints_that_make_it_again(tmp_path):
    path = make(tmp_path, model_args={"width": 9}).save()
    for number in range(2):
        folder = tmp_path / f"{number}"
        again = Trainer.from_checkpoint(path, checkpoint_dir=folder, **QUIET)
        again.fit()
        path = again.save()
        assert same(load_model(path).state_dict(), weights(again))


class Own(Trainer):
    def __init__(self, folder, rate=0.1):
        super().__init__(Net, learning_rate=rate, checkpoint_dir=folder, batch_size=8, **QUIET)


class Extended(Trainer):
    def __init__(self, model, noise=0.0, **options):
        super().__init__(model, **options)
        self.noise = noise


def test_a_subclass_with_a_constructor_of_its_own_is_made_by_it(tmp_path):
    first = Own(tmp_path, rate=0.2)
    first.train(13)
    again = Own.from_checkpoint(first.save(), folder=tmp_path / "again", rate=0.3)
    assert again.iteration == 13 and same(weights(again), weights(first))
    assert again.options.learning_rate == 0.3 and again.options.checkpoint_dir == tmp_path / "again"


def test_a_subclass_whose_constructor_adds_to_the_options_is_made_from_those_recorded(tmp_path):
    path = make(tmp_path, Extended, batch_size=16).save()
    again = Extended.from_checkpoint(path, noise=0.5, **QUIET)
    assert again.options.batch_size == 16 and again.noise == 0.5
