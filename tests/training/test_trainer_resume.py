"""A training that is interrupted, even by kill -9, ends as one that was not: bit for bit."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fspop.training import Callback, Trainer, load_model, random_state, save_checkpoint
from fspop.training.checkpoint_index import read_index
from tests.training.trainer_run import CASES, ITERATIONS, make_trainer
from tests.training.trainers import make, points, same, weights

ROOT = Path(__file__).parents[2]
CHAOS_KILLS = 20


def last_digest(folder):
    """The newest checkpoint's: model, moments, history, random numbers and all."""
    entry = read_index(folder / "ck_checkpoints.json")[-1]
    assert entry["name"] == f"ck_epoch_4_iter_{ITERATIONS}"
    return entry["digest"]


def undisturbed(case, folder):
    trainer = make_trainer(case, folder)
    trainer.fit()
    trainer.save()
    return last_digest(folder)


def run(case, folder, kill_at=None):
    """Whether the process came to the end; killed as soon as it says it is at `kill_at`."""
    command = [sys.executable, "-m", "tests.training.trainer_run", case, str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:
        if kill_at is not None and int(line) >= kill_at:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode == 0


def at(folder):
    """The iteration training would resume from."""
    named = [entry["name"] for entry in read_index(folder / "ck_checkpoints.json")]
    own = [name for name in named if not name.startswith("best")]
    return int(own[-1].rpartition("_")[2]) if own else 0


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sgd", "adam", "restarts"])
def test_a_run_killed_once_ends_like_an_undisturbed_one(tmp_path, case):
    assert not run(case, tmp_path / "killed", random.randrange(1, ITERATIONS - 3))
    assert at(tmp_path / "killed") < ITERATIONS
    assert run(case, tmp_path / "killed")
    assert last_digest(tmp_path / "killed") == undisturbed(case, tmp_path / "whole")


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", list(CASES))
def test_a_run_killed_twenty_times_ends_like_an_undisturbed_one(tmp_path, case):
    dice, folder, kills = random.Random(case), tmp_path / "killed", 0
    while kills < CHAOS_KILLS:
        start = at(folder)
        # Behind the next checkpoint about half of the time; no nearer to the end than the middle.
        kill_at = min(start, ITERATIONS // 2) + dice.randrange(1, 7)
        kills += not run(case, folder, kill_at)
        assert at(folder) < ITERATIONS
    assert run(case, folder)
    assert last_digest(folder) == undisturbed(case, tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_every_iteration_is_a_place_to_resume_at(tmp_path, case):
    whole = undisturbed(case, tmp_path / "whole")
    workers = CASES[case].get("num_workers", 0)
    for stop in range(1, ITERATIONS, 7 if workers else 1):
        folder = tmp_path / f"stopped-{stop}"
        first = make_trainer(case, folder, save_every=0)
        first.train(stop)
        first.save()
        random_state.seed_all(stop)
        second = make_trainer(case, folder)
        assert second.resume() and second.iteration == stop
        random_state.seed_all(99)  # whatever a script does before fit()
        second.fit()
        second.save()
        assert last_digest(folder) == whole, f"resumed at {stop}"


@pytest.mark.parametrize("case", ["restarts", "accumulated"])
def test_training_in_two_stretches_is_training_in_one(tmp_path, case):
    digests = []
    for stretches in ([17], [5, 12], [1] * 17, [7, 7, 3], [14, 3]):
        trainer = make_trainer(case, tmp_path, save_every=0)
        for n_steps in stretches:
            trainer.train(n_steps)
        assert trainer.iteration == 17 and (trainer.epoch, trainer.batch) == (2, 3)
        state = {"task": trainer.state_dict(), "random": random_state.capture()}
        digests.append(save_checkpoint(tmp_path / f"{len(stretches)}-{len(digests)}", state).digest)
    assert len(set(digests)) == 1


def test_evaluating_in_between_changes_nothing(tmp_path):
    plain, watched = make_trainer("sgd", tmp_path), make_trainer("sgd", tmp_path)
    states = []
    for trainer in (plain, watched):
        trainer.make_seed()
        for _ in range(10):
            trainer.train(1)
            if trainer is watched:
                assert set(trainer.evaluate()) == {"loss", "accuracy"}
        state = {"task": trainer.state_dict(), "random": random_state.capture()}
        states.append(save_checkpoint(tmp_path / f"{len(states)}", state).digest)
    assert states[0] == states[1]


def test_without_a_seed_the_order_of_the_data_resumes_too(tmp_path):
    whole, first, second = (make_trainer("sgd", tmp_path, seed=None) for _ in range(3))
    whole.train(5)
    first.load_state_dict(whole.state_dict())
    assert first.seed == whole.seed != second.seed
    orders = [next(trainer.train_loader._order.indices()) for trainer in (whole, first)]
    assert torch.equal(*orders)


@pytest.mark.parametrize(
    ("optim", "device_map"), [("Adam", None), ("SGD", {"cuda:7": "cpu"}), ("SGD", "cpu")]
)
def test_a_checkpoint_of_another_device_goes_on_here(tmp_path, monkeypatch, optim, device_map):
    whole, first = (make(tmp_path, optim_function=optim, save_every=0) for _ in range(2))
    whole.train(15)
    whole.train(5)
    first.train(15)
    with monkeypatch.context() as patch:  # the file a machine with GPUs writes
        patch.setattr("torch.serialization.location_tag", lambda storage: "cuda:7")
        path = first.save()
    assert b"cuda:7" in (path / "state.pt").read_bytes()
    second = make(tmp_path, optim_function=optim, device_map=device_map)
    assert second.resume()
    second.train(5)
    assert same(weights(whole), weights(second)) and whole.history == second.history
    assert same(load_model(path).state_dict(), weights(first))


@pytest.mark.skipif(sys.platform != "linux", reason="files are mapped on Linux only")
def test_a_large_checkpoint_is_restored_from_the_pages_of_its_file(tmp_path):
    seen = []
    look = type("Look", (Callback,), {"on_load": lambda *_: seen.append("state.pt" in maps())})
    wide = {"model_args": {"width": 50_000}, "train_dataset": points(8), "save_every": 0}
    make(tmp_path, **wide).save()
    assert make(tmp_path, callbacks=[look()], **wide).resume()
    assert seen == [True] and "state.pt" not in maps()


def maps():
    return Path("/proc/self/maps").read_text()


def test_the_end_of_an_epoch_belongs_to_its_last_step(tmp_path):
    trainer = make_trainer("sgd", tmp_path)
    trainer.train(7)
    assert (trainer.epoch, trainer.batch) == (1, 0) and trainer.history.count("acc/val") == 1


def by_epochs(trainer):
    while trainer.epoch < 4:
        trainer.run_epoch()


def by_batches(trainer):
    while trainer.epoch < 4:
        trainer.set_modes()
        for batch in trainer.batches():
            trainer.log("loss/train", trainer.train_step(batch))
        trainer.log_counted()
        trainer.feed.next_epoch()


@pytest.mark.parametrize("loop", [by_epochs, by_batches])
def test_a_loop_of_ones_own_around_it_resumes_too(tmp_path, loop):
    folders = [tmp_path / "whole", tmp_path / "resumed"]
    options = {"save_every": 0, "val_every": 0}
    whole, first = (make_trainer("sgd", folder, **options) for folder in folders)
    loop(whole)
    first.train(9)
    first.save()
    random_state.seed_all(99)
    second = make_trainer("sgd", folders[1], **options)
    assert second.resume()
    random_state.seed_all(98)
    loop(second)
    for trainer in (whole, second):
        trainer.save()
    assert last_digest(folders[0]) == last_digest(folders[1])


def test_what_a_loop_of_ones_own_saves_is_in_the_index_at_once(tmp_path):
    trainer = make(tmp_path, model_args={"width": 20_000})
    trainer.run_epoch()
    assert trainer.checkpoints.names() == ["ck_epoch_1_iter_10"]
    trainer.set_options(save_every=3)
    trainer.train(4)
    assert trainer.checkpoints.names()[1:] == ["ck_epoch_1_iter_12"]


@pytest.mark.parametrize("save_every", [1, 2, 3, -1])
def test_an_epoch_without_batches_is_resumed_behind_its_end(tmp_path, save_every):
    class Logs(Trainer):
        def train_epoch(self):
            self.log("x/train", random.random())

    def fit(stop=None):
        halt = type("Halt", (Callback,), {"after_epoch": lambda _, t: t.epoch == stop and 1 / 0})
        trainer = make(tmp_path, Logs, num_epochs=5, save_every=save_every, callbacks=[halt()])
        trainer.resume()
        with contextlib.suppress(ZeroDivisionError):
            trainer.fit()
        return trainer

    fit(stop=4)
    resumed = fit()
    assert (resumed.epoch, resumed.iteration) == (5, 5)
    assert [i for i, _ in resumed.history.points("x/train")] == [0, 1, 2, 3, 4]


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(2)

    def forward(self, x):
        return self.head(x)


def test_a_model_that_learns_its_shapes_from_the_data_resumes(tmp_path):
    whole, first = make(tmp_path / "a", model=Lazy), make(tmp_path / "b", model=Lazy, num_epochs=1)
    whole.fit()
    first.fit()
    second = make(tmp_path / "b", model=Lazy)
    assert second.resume()
    second.fit()
    assert same(weights(whole), weights(second)) and whole.history == second.history


def test_a_rate_that_the_program_now_gives_otherwise_is_said_not_to_be_the_one(tmp_path):
    make(tmp_path, num_epochs=1, learning_rate=0.05).fit()
    other = make(tmp_path, num_epochs=1, learning_rate=0.01)
    with pytest.warns(UserWarning, match=r"learning_rate=0\.01 is given here.*0\.05 was given"):
        assert other.resume()
    assert other.optimizer.param_groups[0]["lr"] == 0.05
