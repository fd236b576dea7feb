"""One task in training: it goes on, or starts again, to the same bit."""

import dataclasses
import os
import random
import sys
from pathlib import Path

import pytest
import torch

from fspop.errors import Damaged, HparamsNotApplied, TaskError, TaskRaised
from fspop.paths import RunPaths
from fspop.training.saver import Saver
from fspop.worker.session import Session
from tests.worker.tasks import Stubborn, Walk, make_run, make_workforce


def begin(tmp_path, task=Walk):
    experiment, _ = make_run(tmp_path, task)
    workforce = make_workforce(tmp_path, experiment)
    return workforce, workforce.claim()


def open_session(tmp_path, held, task=Walk):
    return Session(RunPaths(tmp_path), task, held, Saver(), seed=0)


def go_on():
    return True


def test_a_restored_session_takes_the_same_steps_as_one_that_went_on(tmp_path):
    workforce, held = begin(tmp_path)
    live = open_session(tmp_path, held)
    live.train(5, go_on)
    held = workforce.report(held, live.complete(live.draft(**live.evaluate()))).next
    live.train(5, go_on)
    random.seed(99)  # whatever happened in the process in between
    restored = open_session(tmp_path, held)
    restored.train(5, go_on)
    assert restored.evaluate() == live.evaluate()


def test_stretches_of_any_length_train_the_same(tmp_path, monkeypatch):
    _, held = begin(tmp_path)
    values = []
    for stretch_s in (0.0, 10.0):
        monkeypatch.setattr("fspop.worker.session.STRETCH_S", stretch_s)
        session = open_session(tmp_path, held)
        session.train(7, go_on)
        values.append(session.evaluate())
    assert values[0] == values[1]


def test_a_session_carries_on_only_from_what_it_saved_itself(tmp_path):
    workforce, held = begin(tmp_path)
    session = open_session(tmp_path, held)
    session.train(5, go_on)
    after = workforce.report(held, session.complete(session.draft(**session.evaluate()))).next
    assert session.carries_on(dataclasses.replace(after))
    session.train(1, go_on)
    assert not session.carries_on(dataclasses.replace(after))
    assert session.carries_on(session.held), "it never stopped training that"


def test_training_breaks_off_between_two_stretches(tmp_path):
    _, held = begin(tmp_path)
    session = open_session(tmp_path, held)
    assert not session.train(30, lambda: session.step < 1)
    assert 1 <= session.step < 30


def test_training_that_reached_its_report_is_complete_even_when_asked_to_stop(tmp_path):
    """Else a member would stand at a barrier without the score everybody waits for."""
    _, held = begin(tmp_path)
    session = open_session(tmp_path, held)
    assert session.train(1, lambda: False)


def test_several_metrics_without_a_choice_are_an_error_at_once(tmp_path):
    class Undecided(Walk):
        def evaluate(self):
            return {"loss": 1.0, "accuracy": 0.5}

    _, held = begin(tmp_path)
    session = open_session(tmp_path, held, Undecided)
    with pytest.raises(TaskError, match=r"\['accuracy', 'loss'\].*set metric= to one of them"):
        session.evaluate()


def test_a_report_holds_the_moment_of_its_draft_however_far_training_went_on(tmp_path):
    workforce, held = begin(tmp_path)
    session = open_session(tmp_path, held)
    session.train(5, go_on)
    score = session.evaluate()
    draft = session.draft(**score)
    session.train(5, go_on)
    report = session.complete(draft)
    assert report.step == 5 and report.value == score["value"]
    held = workforce.report(held, report).next
    restored = open_session(tmp_path, held)
    assert restored.evaluate()["value"] == score["value"]


def test_hparams_that_are_not_in_effect_are_an_error(tmp_path):
    _, held = begin(tmp_path, Stubborn)
    with pytest.raises(HparamsNotApplied, match=r"'drift': assigned .*, but 0\.5 is in effect"):
        open_session(tmp_path, held, Stubborn)


def test_what_a_task_raises_is_told_from_our_own_errors(tmp_path):
    class Broken(Walk):
        def train(self, n_steps):
            raise Damaged("a user may raise anything")

    _, held = begin(tmp_path)
    session = open_session(tmp_path, held, Broken)
    with pytest.raises(TaskRaised, match="train: Damaged") as caught:
        session.train(1, go_on)
    assert isinstance(caught.value.__cause__, Damaged)


def test_a_new_generation_draws_other_numbers_than_its_parent(tmp_path):
    experiment, _ = make_run(tmp_path)
    workforce = make_workforce(tmp_path, experiment)
    held, seeds = workforce.claim(), set()
    while held is not None and len(seeds) < 4:
        session = open_session(tmp_path, held)
        seeds.add(session._task.context.seed)
        if held.checkpoint is not None:
            session.train(5, go_on)
        held = workforce.report(held, session.complete(session.draft(**session.evaluate()))).next
    assert len(seeds) == 4


def test_a_task_that_changes_its_hparams_changes_nobody_elses(tmp_path):
    class Greedy(Walk):
        def setup(self, context):
            super().setup(context)
            context.hparams["drift"] = -1.0

        def apply_hparams(self, hparams):
            hparams.clear()

    workforce, held = begin(tmp_path, Greedy)
    before = dict(held.hparams)
    open_session(tmp_path, held, Greedy)
    assert held.hparams == before
    held.hparams.clear()
    assert workforce.state.members[held.member].generation.hparams == before


@pytest.mark.parametrize("leave", [SystemExit(0), RecursionError("too deep")])
def test_a_task_cannot_take_the_worker_with_it(tmp_path, leave):
    class Leaving(Walk):
        def train(self, n_steps):
            raise leave

    _, held = begin(tmp_path, Leaving)
    session = open_session(tmp_path, held, Leaving)
    with pytest.raises(TaskRaised):
        session.train(1, go_on)


@pytest.mark.skipif(sys.platform != "linux", reason="files are mapped on Linux only")
def test_a_checkpoint_is_restored_from_the_pages_of_its_file_which_may_go_afterwards(tmp_path):
    class Large(Walk):
        def state_dict(self):
            return {"x": torch.full((500_000,), self.x)}

        def load_state_dict(self, state):
            self.mapped = "state.pt" in Path("/proc/self/maps").read_text()
            self.kept, self.x = state["x"], state["x"][0].item()

    workforce, held = begin(tmp_path, Large)
    session = open_session(tmp_path, held, Large)
    held = workforce.report(held, session.complete(session.draft())).next
    task = open_session(tmp_path, held, Large)._task
    for file in tmp_path.rglob("state.pt"):
        os.truncate(file, 0)
    assert task.mapped and (task.kept == task.x).all()


class Closing(Walk):
    """Says when it was told to let go, and may fail then, or at its hparams."""

    closed = 0

    def apply_hparams(self, hparams):
        self.fails = hparams["drift"] < 0
        if self.fails:
            raise RuntimeError("no such drift")

    def close(self):
        type(self).closed += 1
        raise RuntimeError("the thread hangs")


def test_a_task_is_closed_once_and_failing_then_ends_nothing(tmp_path, caplog):
    _, held = begin(tmp_path, Closing)
    before = Closing.closed
    open_session(tmp_path, held, Closing).close()
    assert Closing.closed == before + 1
    assert "the thread hangs" in caplog.text


def test_a_task_that_cannot_begin_is_closed_too(tmp_path):
    _, held = begin(tmp_path, Closing)
    before = Closing.closed
    with pytest.raises(TaskRaised, match="no such drift"):
        open_session(tmp_path, dataclasses.replace(held, hparams={"drift": -1.0}), Closing)
    assert Closing.closed == before + 1
