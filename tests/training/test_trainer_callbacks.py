"""Who is told what training measures: callbacks, TensorBoard, files, a person."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fspop.training import Callback, Trainer
from tests.training.trainers import make, points

ROOT = Path(__file__).parents[2]


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
    tags = {
        "loss/train",
        "acc/train",
        "loss/val",
        "acc/val",
        "loss/test",
        "acc/test",
        "schedule/lr_0",
    }
    assert {tag for tag, *_ in first.scalars} == tags == {tag for tag, *_ in second.scalars}
    written = sorted(s for s in first.scalars + second.scalars if s[0] == "loss/train")
    assert written == [("loss/train", *point) for point in trainer.history.points("loss/train")]
    assert min(step for tag, step, _ in second.scalars) > 10 - 1


def test_other_callbacks_in_the_middle_write_nothing_a_second_time(tmp_path):
    recorder = Recorder()
    trainer = make(tmp_path, tb_writer=recorder, num_epochs=1)
    trainer.fit()
    trainer.set_options(callbacks=[Scribe()], num_epochs=2)
    trainer.fit()
    assert len(recorder.scalars) == len(set(recorder.scalars)) == 20 + 2 * 3


DIE_AT_8 = """
import os, signal, sys
from pathlib import Path
from fspop.training import Callback
from tests.training.trainers import make

class Writer:
    waiting, file = [], open(sys.argv[2], "w")
    def add_scalar(self, tag, value, step):
        self.waiting.append(f"{step} {tag}")
    def flush(self):
        print(*self.waiting, sep="\\n", file=self.file, flush=True)
        self.waiting.clear()

class Die(Callback):
    def after_step(self, trainer):
        if trainer.iteration == 8:
            os.kill(os.getpid(), signal.SIGKILL)

options = {"save_every": 1, "print_every": 5, "num_epochs": 1}
make(Path(sys.argv[1]), tb_writer=Writer(), callbacks=[Die()], **options).fit()
"""


def test_a_writer_gets_every_point_of_a_killed_training(tmp_path):
    command = [sys.executable, "-c", DIE_AT_8, str(tmp_path), str(tmp_path / "written")]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    lines = (tmp_path / "written").read_text().splitlines()
    before = [int(line.split()[0]) for line in lines if line.endswith(" loss/train")]
    recorder = Recorder()
    resumed = make(tmp_path, tb_writer=recorder, num_epochs=1)
    assert resumed.resume() and resumed.iteration in (6, 7)
    begin = resumed.iteration + 1
    resumed.fit()
    after = [step for tag, step, _ in recorder.scalars if tag == "loss/train"]
    assert after == list(range(begin, 11))
    assert before in (list(range(1, n)) for n in range(begin, 10))


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
    assert "█" in shown and "epoch 2/2 done  acc/train" in shown


def test_lines_show_place_and_loss(tmp_path, capsys):
    make(tmp_path, verbose=True, print_every=4, test_dataset=points(20)).fit()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/2 batch 4/10  loss/train 0.")
    assert lines[-1].startswith("test  loss/test")


class Counts(Callback):
    def __init__(self, counts):
        self.counts, self.n = counts, 0

    def after_step(self, trainer):
        self.n += self.counts

    def state_dict(self):
        return {"n": self.n} if self.n else {}

    def load_state_dict(self, state):
        self.n = state["n"]


def test_callbacks_of_one_class_keep_their_own_memories(tmp_path):
    make(tmp_path, callbacks=[Counts(0), Callback(), Counts(1)], num_epochs=1).fit()
    idle, busy = Counts(0), Counts(1)
    assert make(tmp_path, callbacks=[idle, busy], num_epochs=1).resume()
    assert (idle.n, busy.n) == (0, 10)


def test_lines_go_on_when_other_callbacks_are_given_in_the_middle(tmp_path, capsys):
    class Changes(Callback):
        def after_step(self, trainer):
            if trainer.iteration == 5:
                trainer.set_options(callbacks=[Scribe()])

    make(tmp_path, verbose=True, print_every=2, callbacks=[Changes()], num_epochs=1).fit()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[:-1]] == [f"{n}/10" for n in (2, 4, 6, 8, 10)]
    assert lines[-1].startswith("epoch 1/1 done")
