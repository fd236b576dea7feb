"""A Trainer as a Task: driven by real sessions, it goes on to the same bit wherever it is."""

import contextlib
import functools

import pytest
import torch

from fspop import Experiment, LogUniform, Uniform
from fspop.controller import PopulationController, new_manifest
from fspop.errors import TaskRaised
from fspop.mutators import TruncationSelection
from fspop.paths import RunPaths
from fspop.training import Trainer, load_model
from fspop.training.saver import Saver
from fspop.training.schedules import WarmRestart
from fspop.worker.session import Session
from tests.training.trainer_run import Noisy
from tests.training.trainers import Net, points, same, weights
from tests.worker.tasks import make_workforce

DATA = Noisy(64)  # one object for all members of this process


class Member(Trainer):
    def __init__(self, **options):
        super().__init__(
            Net(), train_dataset=DATA, val_dataset=points(30, seed=1), batch_size=8, **options
        )


def begin(root, task=Member):
    """A run of two members, and what its one worker was given first."""
    experiment = Experiment(
        task=task,
        members=2,
        metric="accuracy",
        space={"learning_rate": LogUniform(1e-3, 0.1), "strength": Uniform(0.0, 1.0)},
        mutator=TruncationSelection(interval=20, fraction=0.5),
        total_steps=100,
        report_every=10,
    )
    manifest = new_manifest(
        experiment.first_hparams(),
        experiment.mutator,
        mode="max",
        seed=0,
        space=experiment.domains,
        total_steps=100,
        report_every=10,
    )
    PopulationController.create(root, manifest, experiment.mutator, experiment.domains)
    workforce = make_workforce(root, experiment)
    return workforce, workforce.claim()


@contextlib.contextmanager
def opened(root, held, task=Member):
    with Saver() as saver:
        yield Session(RunPaths(root), task, held, saver, seed=0, metric="accuracy")


def trained(session, steps, stretch=None):
    for _ in range(steps // (stretch or steps)):
        assert session.train(stretch or steps, lambda: True)
    return session


def test_a_restored_member_takes_the_same_steps_as_one_that_went_on(tmp_path):
    workforce, held = begin(tmp_path)
    with opened(tmp_path, held) as live:
        trained(live, 10, stretch=1)
        report = live.complete(live.draft(**live.evaluate()))
        held = workforce.report(held, report).next
        trained(live, 10)
        with opened(tmp_path, held) as restored:
            trained(restored, 10, stretch=5)
            assert same(weights(restored._task), weights(live._task))
            assert restored._task.history == live._task.history
            assert restored.evaluate() == live.evaluate()
    folder = RunPaths(tmp_path).root / report.checkpoint.params
    assert type(load_model(folder, Net())) is Net
    assert not list(tmp_path.rglob("*_history.json"))


def test_charts_show_the_learning_rate_and_the_latest_of_all_that_was_measured(tmp_path):
    _, held = begin(tmp_path, functools.partial(Member, lr_scheduler="WarmRestart"))
    with opened(tmp_path, held, functools.partial(Member, lr_scheduler="WarmRestart")) as session:
        trained(session, 20)
        shown = session.draft(**session.evaluate()).scalars
        history = session._task.history
    assert {"learning_rate", "steps_per_s", "schedule/lr_0", "loss/train", "acc/val"} <= set(shown)
    assert all(shown[tag] == history.last(tag)[1] for tag in history.tags())


def test_the_first_weights_are_a_function_of_the_member_alone(tmp_path):
    _, held = begin(tmp_path)
    found = []
    for disturbance in range(2):
        torch.manual_seed(disturbance)
        with opened(tmp_path, held) as session:
            found.append(weights(session._task))
    assert same(*found)


def test_members_on_the_same_data_keep_their_own_strength(tmp_path):
    _, held = begin(tmp_path)
    with opened(tmp_path, held) as one, opened(tmp_path, held) as other:
        other._task.apply_hparams({"strength": 0.125})
        trained(one, 1)
        assert DATA.strength == held.hparams["strength"] == one._task.hparams["strength"]
        trained(other, 1)
        assert DATA.strength == 0.125


def test_one_model_object_for_two_members_is_refused(tmp_path):
    shared = functools.partial(Trainer, Net(), train_dataset=DATA, val_dataset=points(30))
    _, held = begin(tmp_path, shared)
    with opened(tmp_path, held, shared):
        with pytest.raises(TaskRaised, match="same Net object was given to two members"):
            with opened(tmp_path, held, shared):
                pass


def test_a_class_with_arguments_makes_a_model_for_each_member(tmp_path):
    make = functools.partial(Trainer, Net, train_dataset=DATA, val_dataset=points(30))
    _, held = begin(tmp_path, make)
    with opened(tmp_path, held, make) as one, opened(tmp_path, held, make) as other:
        assert one._task.model is not other._task.model
        assert same(weights(one._task), weights(other._task))
        assert set(one._task.scalars()) == {"learning_rate"}


def test_members_that_were_given_one_loss_and_one_schedule_have_their_own(tmp_path):
    given = {"loss_function": torch.nn.CrossEntropyLoss(), "lr_scheduler": WarmRestart()}
    make = functools.partial(Trainer, Net, train_dataset=DATA, val_dataset=points(30), **given)
    _, held = begin(tmp_path, make)
    with opened(tmp_path, held, make) as one, opened(tmp_path, held, make) as other:
        one._task.apply_hparams({"label_smoothing": 0.1, "learning_rate": 0.1})
        other._task.apply_hparams({"label_smoothing": 0.3, "learning_rate": 0.3})
        assert one._task.effective_hparams() == {"label_smoothing": 0.1, "learning_rate": 0.1}
