"""What a Trainer has saved stays, and what it could not save is tried again."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fspop.errors import Damaged, DiskFull
from fspop.training import Callback, History, Trainer
from fspop.training.checkpoint_index import read_index
from tests.training.trainers import full_disk, make, points, same, weights

ROOT = Path(__file__).parents[2]


class At(Callback):
    """Does something after a certain iteration, or epoch."""

    def __init__(self, do, step=None, epoch=None):
        self.do, self.step, self.epoch, self.saved = do, step, epoch, []

    def after_step(self, trainer):
        if trainer.iteration == self.step:
            self.do(trainer)

    def after_epoch(self, trainer):
        if trainer.epoch == self.epoch:
            self.do(trainer)

    def on_save(self, trainer, path):
        self.saved.append(path.name)


class Scripted(Trainer):
    def val_epoch(self):
        return {"accuracy": (0.1, 0.9, 0.5, 0.4)[self.epoch]}


def fit_on_a_disk_that_fills_up(trainer, **when):
    """Until the disk is full, and again when there is room."""
    with contextlib.ExitStack() as stack:
        trainer.set_options(callbacks=[At(lambda _: stack.enter_context(full_disk()), **when)])
        with pytest.raises(DiskFull):
            trainer.fit()
    trainer.set_options(callbacks=[])
    trainer.fit()


@pytest.mark.parametrize("save_every", [-1, 0, 10])
def test_the_best_weights_are_those_of_the_best_also_after_a_full_disk(tmp_path, save_every):
    trainer = make(tmp_path, Scripted, num_epochs=4, save_best=True, save_every=save_every)
    fit_on_a_disk_that_fills_up(trainer, epoch=2)
    assert trainer.best["value"] == 0.9 and trainer.epoch == 4
    assert os.readlink(trainer.checkpoints.best_link) == "best_ck_epoch_2_iter_20"


@pytest.mark.parametrize(("save_every", "n"), [(-1, 2), (5, 4)])
@pytest.mark.parametrize("epoch", [1, 2])
def test_checkpoints_a_full_disk_refused_are_written_once_there_is_room(
    tmp_path, save_every, n, epoch
):
    whole = make(tmp_path / "a", save_every=save_every)
    trainer = make(tmp_path / "b", save_every=save_every, test_dataset=points(20))
    whole.fit()
    when = {"epoch": epoch} if save_every < 0 else {"step": 10 * epoch}
    fit_on_a_disk_that_fills_up(trainer, **when)
    assert trainer.checkpoints.names() == whole.checkpoints.names()
    assert len(trainer.checkpoints.names()) == n and same(weights(whole), weights(trainer))
    assert History.read(trainer.checkpoints.history_path) == trainer.history
    resumed = make(tmp_path / "b")
    assert resumed.resume() and same(weights(resumed), weights(trainer))


def test_a_disk_that_stays_full_is_said_each_time(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    with full_disk():
        for _ in range(3):
            with pytest.raises(DiskFull):
                trainer.fit()
    assert trainer.save().name == "ck_epoch_1_iter_10"


def test_another_folder_takes_the_checkpoint_that_did_not_fit_into_the_first(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    with full_disk():
        with pytest.raises(DiskFull):
            trainer.fit()
        with pytest.warns(match="No space|too large.*saved in the new place"):
            trainer.set_options(checkpoint_dir=tmp_path / "other")
    trainer.fit()
    assert trainer.checkpoints.names() == ["ck_epoch_1_iter_10"]


@pytest.mark.parametrize("change", ["keep_checkpoints", "checkpoint_name", "checkpoint_dir"])
def test_a_save_under_way_is_finished_where_it_was_begun(tmp_path, change):
    new = {"keep_checkpoints": 9, "checkpoint_name": "x", "checkpoint_dir": tmp_path / "o"}[change]
    scribe = At(lambda trainer: trainer.set_options(**{change: new}), step=6)
    options = {"save_every": 5, "num_epochs": 1, "callbacks": [scribe]}
    make(tmp_path, model_args={"width": 20_000}, **options).fit()
    index = read_index(tmp_path / "checkpoint" / "ck_checkpoints.json")
    assert index[0]["name"] == "ck_epoch_0_iter_5" == scribe.saved[0]
    assert len(scribe.saved) == 3  # that one, the next one, the best one


def test_callbacks_hear_of_every_save(tmp_path):
    scribe = At(lambda trainer: trainer.save(), step=6)
    make(tmp_path, callbacks=[scribe], save_every=5, num_epochs=1).fit()
    others = ["ck_epoch_0_iter_10", "best_ck_epoch_1_iter_10"]
    assert scribe.saved[:2] == ["ck_epoch_0_iter_5", "ck_epoch_0_iter_6"]
    assert sorted(scribe.saved[2:]) == sorted(others)
    again = At(lambda _: None)
    make(tmp_path, callbacks=[again], save_every=10, num_epochs=1).fit()
    assert sorted(again.saved) == sorted(others)


SAVE_OVER = """
import os, signal, sys
from pathlib import Path
import torch
from tests.training.trainers import make
torch.set_num_threads(1)
folder = Path(sys.argv[1])

def deadly(call, at, count):
    def maybe(*args, **options):
        count[0] += 1
        if count[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return maybe

def save_over(at):
    trainer, count = make(folder, keep_checkpoints=1, num_epochs=1), [0]
    assert trainer.resume() and trainer.iteration == 10
    trainer.set_learning_rate(0.01 + at / 1e6)
    for name in ("rename", "replace", "rmdir", "fsync"):
        setattr(os, name, deadly(getattr(os, name), at, count))
    trainer.save()

make(folder, keep_checkpoints=1, num_epochs=1).fit()
make(folder).resume()  # imports what only resuming needs
at, status = 0, signal.SIGKILL
while status == signal.SIGKILL:
    at += 1
    child = os.fork()
    if child == 0:
        try:
            save_over(at)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
print(at, status)
"""


def test_a_checkpoint_stays_until_the_one_in_its_place_is_durable_and_named(tmp_path):
    command = [sys.executable, "-W", "error", "-c", SAVE_OVER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    kills, status = done.stdout.split()
    assert status == "0", done.stderr
    assert int(kills) > 10
    last = make(tmp_path, num_epochs=1)
    assert last.resume() and last.hparams["learning_rate"] == 0.01 + int(kills) / 1e6
    assert [entry.keys() for entry in read_index(last.checkpoints.index)] == [
        {"name", "digest", "size_bytes"}
    ]


def test_a_lost_index_is_made_anew_from_the_checkpoints_that_are_there(tmp_path):
    trainer = make(tmp_path, save_best=True)
    trainer.fit()
    folder, index = trainer.checkpoints.folder, trainer.checkpoints.index
    before = read_index(index)
    index.unlink()
    (folder / "ck_epoch_3_iter_30").mkdir()  # half deleted
    (folder / "ck_epoch_9_iter_90").symlink_to("ck_epoch_1_iter_10")
    resumed = make(tmp_path)
    with pytest.warns(UserWarning, match=r"ck_checkpoints.json was missing; made anew from the 3"):
        assert resumed.resume() and resumed.iteration == 20
    assert sorted(map(str, read_index(index))) == sorted(map(str, before))
    assert resumed.checkpoints.names() == ["ck_epoch_1_iter_10", "ck_epoch_2_iter_20"]


def test_a_folder_without_checkpoints_is_no_lost_index(tmp_path):
    assert not make(tmp_path).resume()
    (tmp_path / "checkpoint" / "other_epoch_1_iter_10").mkdir(parents=True)
    assert not make(tmp_path).resume()


def test_an_entry_without_a_digest_is_a_damaged_index(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    trainer.fit()
    text = trainer.checkpoints.index.read_text().replace("digest", "digset")
    trainer.checkpoints.index.write_text(text)
    with pytest.raises(Damaged, match=r"not an index of checkpoints.*remove it: it is made anew"):
        trainer.resume()


DIE_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from tests.training.trainers import make
trainer = make(Path(sys.argv[1]))
trainer.save()
os.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
trainer.set_learning_rate(0.5)
trainer.save()
"""


def test_what_a_killed_process_left_half_written_goes_with_the_next_save(tmp_path):
    folder = tmp_path / "checkpoint"
    done = subprocess.run([sys.executable, "-c", DIE_WHILE_SAVING, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    others = [".other_epoch_1_iter_10.0123456789abcdef.tmp", ".ck_notes.1.part"]
    for name in (".ck_checkpoints.json.1.part", ".best_ck.1.part", *others):
        (folder / name).touch()
    assert len(list(folder.glob(".ck_epoch_0_iter_0.*.tmp"))) == 1
    trainer = make(tmp_path)
    assert trainer.resume()
    assert len(list(folder.glob(".*"))) == 5  # another process may be about to write
    trainer.save()
    assert sorted(path.name for path in folder.glob(".*")) == sorted(others)
