import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from fspop.errors import Damaged, DiskFull, TaskError, UsageError
from fspop.training import checkpoint
from fspop.training.checkpoint import load_checkpoint, save_checkpoint
from fspop.training.saver import Saver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "m003.g0007" / "step-000001200.t5"


@pytest.fixture
def saver():
    with Saver() as saver:
        yield saver


@pytest.fixture
def gate(monkeypatch):
    """The writing of files waits here until the test lets it go on."""
    gate, fsync = threading.Event(), os.fsync

    def slow_fsync(fd):
        assert gate.wait(60)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", slow_fsync)
    yield gate
    gate.set()


@pytest.fixture
def slow_disk(monkeypatch):
    """A filesystem that takes nothing until the test says so."""
    gate, write = threading.Event(), os.write

    def slow_write(fd, data):
        assert gate.wait(60)
        return write(fd, data)

    monkeypatch.setattr(os, "write", slow_write)
    yield gate
    gate.set()


def training():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(30, 40), torch.nn.BatchNorm1d(40))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        model(torch.randn(5, 30)).square().sum().backward()
        optimizer.step()

    def state():
        seen = [0.5, {"epoch": 3}]
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "seen": seen}

    return step, state


def test_a_save_in_the_background_is_the_same_file_as_one_in_the_foreground(saver, folder):
    step, state = training()
    step()
    saver.begin(folder, state())
    saved = saver.wait()
    assert saved == save_checkpoint(folder.with_name("foreground"), state())
    names = [os.listdir(folder), os.listdir(folder.with_name("foreground"))]
    assert names == [["state.pt"], ["state.pt"]]


def test_training_goes_on_while_the_state_of_before_is_written(saver, folder, slow_disk):
    step, state = training()
    step()
    expected = save_in_advance(folder, state(), slow_disk)
    live = state()
    saver.begin(folder, live)
    for _ in range(5):
        step()
    live["seen"][1]["epoch"] = 4
    live["model"]["0.bias"].fill_(7.0)
    assert saver.in_flight and not folder.exists()
    slow_disk.set()
    assert saver.wait() == expected
    assert not saver.in_flight and load_checkpoint(folder, expected.digest)["seen"][1]["epoch"] == 3


def save_in_advance(folder, state, slow_disk):
    slow_disk.set()
    saved = save_checkpoint(folder.with_name("expected"), state)
    slow_disk.clear()
    return saved


def test_a_large_state_that_training_overwrites_is_saved_as_it_was(saver, folder):
    live = {"x": torch.arange(3_000_000), "y": [torch.full((1_000_000,), float(i)) for i in (1, 2)]}
    for n in range(4):
        saver.begin(folder.with_name(f"step-{n}"), live)
        assert saver.in_flight
        live["x"] += 1
        live["y"].reverse()
        live["y"][0].zero_().add_(n)
    saver.wait()
    for n in range(4):
        saved = load_checkpoint(folder.with_name(f"step-{n}"))
        assert torch.equal(saved["x"], torch.arange(3_000_000) + n)
    first, last = load_checkpoint(folder.with_name("step-0")), saved
    assert [y[0].item() for y in first["y"]] == [1.0, 2.0]
    assert [y[-1].item() for y in last["y"]] == [2.0, 1.0]


def test_the_next_save_waits_for_the_one_in_flight(saver, folder, gate):
    saver.begin(folder, {"n": 1})
    threading.Timer(0.2, gate.set).start()
    saver.begin(folder.with_name("next"), {"n": 2})
    assert gate.is_set() and load_checkpoint(folder) == {"n": 1}
    saver.wait()
    assert load_checkpoint(folder.with_name("next")) == {"n": 2}


def test_waiting_again_gives_the_same_and_waiting_for_nothing_is_refused(saver, folder):
    with pytest.raises(UsageError, match="nothing was begun"):
        saver.wait()
    saver.begin(folder, {"n": 1})
    assert saver.wait() == saver.wait()


@pytest.fixture
def full_disk(monkeypatch):
    """Writing fails for as long as it holds anything."""
    full, write = [True], os.write

    def maybe_write(fd, data):
        if full:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", maybe_write)
    return full


@pytest.mark.parametrize("state", [{"n": 1}, {"x": torch.ones(9)}], ids=["json", "torch"])
def test_a_full_disk_comes_out_of_wait_and_waiting_again_writes_what_was_copied(
    saver, folder, full_disk, state
):
    state = {**state, "seen": []}
    saver.begin(folder, state)
    for _ in range(2):
        with pytest.raises(DiskFull):
            saver.wait()
    state["seen"].append("later")
    full_disk.clear()
    saved = saver.wait()
    assert load_checkpoint(folder, saved.digest)["seen"] == []


def test_an_error_comes_out_of_the_next_begin_which_begins_nothing(saver, folder, full_disk):
    saver.begin(folder, {"n": 1})
    with pytest.raises(DiskFull):
        saver.begin(folder.with_name("next"), {"n": 2})
    full_disk.clear()
    saver.begin(folder.with_name("next"), {"n": 2})
    saver.wait()
    assert os.listdir(folder.parent) == ["next"]


def test_an_error_comes_out_of_close_too(folder):
    save_checkpoint(folder, {"n": 1})
    saver = Saver()
    saver.begin(folder, {"n": 2})
    with pytest.raises(Damaged, match="another checkpoint is there"):
        saver.close()
    saver.close()


def test_what_no_one_expected_is_raised_as_it_was(saver, folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "make_folder", lambda folder: 1 / 0)
    saver.begin(folder, {"n": 1})
    with pytest.raises(ZeroDivisionError):
        saver.wait()


def test_a_state_that_would_not_read_back_is_refused_before_anything_is_begun(saver, folder):
    with pytest.raises(TaskError, match=r"state\['a'\]\[0\]: got object"):
        saver.begin(folder, {"a": [object()]})
    saver.begin(folder, {"a": []})
    saver.wait()


def test_close_waits_until_the_save_is_durable(folder, gate):
    saver = Saver()
    saver.begin(folder, {"x": torch.ones(9)})
    threading.Timer(0.1, gate.set).start()
    saver.close()
    assert torch.equal(load_checkpoint(folder)["x"], torch.ones(9))


def test_plain_states_do_not_import_torch(tmp_path):
    program = """
import pathlib, sys
from fspop.training.saver import Saver
state = {"random": [1, 2.5, {"a": None}]}
with Saver() as saver:
    saver.begin(pathlib.Path(sys.argv[1]) / "g" / "c", state)
    state["random"].clear()
    saver.wait()
assert "torch" not in sys.modules and "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
    assert load_checkpoint(tmp_path / "g" / "c") == {"random": [1, 2.5, {"a": None}]}


def test_a_process_that_ends_without_closing_still_ends_its_save(tmp_path):
    program = """
import pathlib, sys, torch
from fspop.training.saver import Saver
Saver().begin(pathlib.Path(sys.argv[1]) / "g" / "c", {"x": torch.ones(5_000_000)})
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
    assert load_checkpoint(tmp_path / "g" / "c")["x"].sum() == 5_000_000
