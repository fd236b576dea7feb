import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fspop.errors import Damaged, StorageUnavailable
from fspop.training.checkpoint import load_checkpoint, mapped_checkpoint, save_checkpoint

ROOT = Path(__file__).parents[2]
STATES = {
    "json": {"a": [1, 2.5]},
    "small": {"x": torch.arange(9), "y": (1, "a")},
    "large": {"x": torch.arange(500_000), "y": [torch.rand(300, 3000), 7]},
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "m003.g0007" / "step-000001200.t5"


def maps():
    return Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a_mapped_state_is_what_was_saved_and_empty_after_the_block(folder, state):
    saved = save_checkpoint(folder, state)
    with mapped_checkpoint(folder, saved.digest) as mapped:
        again = save_checkpoint(folder.with_name("again"), mapped)
    assert again == saved and mapped == {}


def test_a_large_state_lies_in_its_file_until_nobody_needs_it(folder):
    saved = save_checkpoint(folder, STATES["large"])
    with mapped_checkpoint(folder, saved.digest) as mapped:
        assert "state.pt" in maps()
        mapped["x"] += 1  # what a task does to a state changes no file
    assert "state.pt" not in maps()
    assert torch.equal(load_checkpoint(folder, saved.digest)["x"], torch.arange(500_000))


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a_flipped_bit_is_damage_before_anything_is_made_of_it(folder, state):
    digest = save_checkpoint(folder, state).digest
    (file,) = folder.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)
    with pytest.raises(Damaged, match="content is not what was saved"):
        with mapped_checkpoint(folder, digest):
            raise AssertionError


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02." * 500_000, b"PK" * 1_000_000])
def test_bytes_that_are_no_state_are_damage_even_without_a_digest(folder, data):
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(data)
    with pytest.raises(Damaged, match="loaded safely"):
        with mapped_checkpoint(folder):
            raise AssertionError


def test_a_large_malicious_pickle_is_refused_and_not_executed(folder, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (tmp_path / "executed").touch, ()

    folder.mkdir(parents=True)
    torch.save({"x": torch.zeros(500_000), "a": Malicious()}, folder / "state.pt")
    with pytest.raises(Damaged, match="loaded safely"):
        with mapped_checkpoint(folder):
            raise AssertionError
    assert not (tmp_path / "executed").exists()


def test_an_error_of_the_block_comes_out_as_it_was(folder):
    save_checkpoint(folder, STATES["large"])
    with pytest.raises(StorageUnavailable, match="mine"):
        with mapped_checkpoint(folder):
            raise StorageUnavailable("mine")
    with pytest.raises(FileNotFoundError):
        with mapped_checkpoint(folder):
            open(folder / "other")


KEEP_A_TENSOR = """
import os, pathlib, sys, torch
from fspop.training.checkpoint import mapped_checkpoint, save_checkpoint
folder = pathlib.Path(sys.argv[1]) / "g" / "c"
save_checkpoint(folder, {"x": torch.arange(2_000_000), "y": torch.ones(1_000_000)})
with mapped_checkpoint(folder) as state:
    kept = state["x"]
    if sys.argv[2] == "too early":
        os.truncate(folder / "state.pt", 0)  # as if another host had deleted it
os.truncate(folder / "state.pt", 0)
assert torch.equal(kept, torch.arange(2_000_000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="files are mapped on Linux only")
@pytest.mark.parametrize("when", ["afterwards", "too early"])
def test_what_a_task_keeps_survives_its_file(tmp_path, when):
    command = [sys.executable, "-c", KEEP_A_TENSOR, str(tmp_path), when]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    expected = 0 if when == "afterwards" else -7  # SIGBUS: the test does see what it is about
    assert done.returncode == expected, done.stderr
