import errno
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import xxhash

from fspop.errors import Damaged, DiskFull, NotARun, NotWritable, TaskError
from fspop.training.checkpoint import load_checkpoint, save_checkpoint, temporary_for
from fspop.training.hashed import HashedFile
from fspop.training.state_file import write_state

ROOT = Path(__file__).parents[2]
PLAIN = {"a": [1, 2.5, -0.0, "é\ud800", None, True, 2**63, {"b": []}], "z": 1, "m": 5e-324}


@pytest.fixture
def folder(tmp_path):
    """A checkpoint folder that does not exist yet, nor the generation's folder it is to be in."""
    return tmp_path / "m003.g0007" / "step-000001200.t5"


def training_state():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "pair": (1, 2)}


def same(a, b):
    """Equal in value and in type, at every depth."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def digest_of(data):
    return f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"


def content(folder):
    (file,) = folder.iterdir()
    return file


def test_plain_data_comes_back_exactly_from_a_json_file(folder):
    saved = save_checkpoint(folder, PLAIN)
    assert same(load_checkpoint(folder, saved.digest), PLAIN)
    assert content(folder).name == "state.json"


def test_model_and_optimizer_come_back_exactly(folder):
    saved = save_checkpoint(folder, training_state())
    assert same(load_checkpoint(folder, saved.digest), training_state())
    assert content(folder).name == "state.pt"


@pytest.mark.parametrize(
    "value",
    [
        *[float("nan"), float("-inf"), 2**64, -(2**200), b"\x00\xff"],
        *[(1, (2,)), {1: 2}, {(1, 2): 3}],
        *[OrderedDict(b=1, a=2), torch.Size([2, 3]), torch.bfloat16, torch.device("cpu")],
        *[torch.nn.Parameter(torch.ones(2)), torch.zeros(0), torch.arange(6).view(2, 3).t()],
    ],
    ids=repr,
)
def test_what_json_would_change_comes_back_exactly_from_a_torch_file(folder, value):
    saved = save_checkpoint(folder, {"value": value})
    assert same(load_checkpoint(folder, saved.digest)["value"], value)
    assert content(folder).name == "state.pt"


@pytest.mark.parametrize("state", [PLAIN, training_state()], ids=["json", "torch"])
def test_size_and_digest_are_those_of_the_file(folder, state):
    saved = save_checkpoint(folder, state)
    data = content(folder).read_bytes()
    assert saved == (len(data), digest_of(data))
    assert os.listdir(folder.parent) == [folder.name]


def test_a_restored_state_is_saved_as_the_same_bytes(folder):
    first = save_checkpoint(folder, training_state())
    again = load_checkpoint(folder)
    assert save_checkpoint(folder.with_name("again"), again).digest == first.digest


def test_the_bytes_do_not_tell_which_equal_values_are_one_object(folder):
    one, other = "momentum", "".join(["momen", "tum"])
    first = save_checkpoint(folder, {"pair": (one, one)})
    assert one is not other
    assert save_checkpoint(folder, {"pair": (one, other)}) == first


def test_saving_the_same_again_is_accepted_and_other_content_refused(folder):
    saved = save_checkpoint(folder, PLAIN)
    assert save_checkpoint(folder, PLAIN) == saved
    with pytest.raises(Damaged, match="another checkpoint is there"):
        save_checkpoint(folder, {"a": 2})
    assert os.listdir(folder.parent) == [folder.name]
    assert same(load_checkpoint(folder, saved.digest), PLAIN)


@pytest.mark.parametrize("state", [PLAIN, training_state()], ids=["json", "torch"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "extend"])
def test_any_change_to_the_file_is_damage(folder, state, harm):
    digest = save_checkpoint(folder, state).digest
    data = bytearray(content(folder).read_bytes())
    data[len(data) // 2] ^= 4 if harm == "flip" else 0
    end = {"cut": len(data) // 2, "empty": 0}.get(harm, len(data))
    content(folder).write_bytes(bytes(data[:end]) + b"x" * (harm == "extend"))
    with pytest.raises(Damaged, match=f"{content(folder)}.*content is not what was saved.*remove"):
        load_checkpoint(folder, digest)


def test_a_flipped_bit_in_any_byte_is_told_by_the_digest_and_by_nothing_else(folder):
    digest = save_checkpoint(folder, {"x": torch.arange(99), "y": (1, "a")}).digest
    data = content(folder).read_bytes()
    for place in range(len(data)):
        with open(content(folder), "r+b") as file:
            file.seek(place)
            file.write(bytes([data[place] ^ (1 << place % 8)]))
            file.flush()
            with pytest.raises(Damaged, match="content is not what was saved"):
                load_checkpoint(folder, digest)
            file.seek(place)
            file.write(data[place : place + 1])
    load_checkpoint(folder, digest)


@pytest.mark.parametrize("name", ["state.json", "state.pt"])
@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"PK\x03\x04", b"\x80\x02.", b"\x00" * 99])
def test_bytes_that_are_no_state_are_damage_even_without_a_digest(folder, name, data):
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    with pytest.raises(Damaged, match=str(folder / name)):
        load_checkpoint(folder)


def test_a_checkpoint_that_is_missing_or_lost_its_file_is_damage(folder):
    folder.parent.mkdir()
    with pytest.raises(Damaged, match=r"step-000001200\.t5: .*does not exist"):
        load_checkpoint(folder)
    folder.mkdir()
    with pytest.raises(Damaged, match="holds no state"):
        load_checkpoint(folder)


def test_two_state_files_in_one_checkpoint_are_damage(folder):
    save_checkpoint(folder, PLAIN)
    (folder / "state.pt").write_bytes(b"")
    with pytest.raises(Damaged, match=r"state\.json and state\.pt"):
        load_checkpoint(folder)


class Malicious:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("write", [torch.save, lambda v, p: p.write_bytes(pickle.dumps(v))])
def test_a_malicious_pickle_is_refused_in_one_line_and_not_executed(folder, tmp_path, write):
    folder.mkdir(parents=True)
    write({"a": Malicious(tmp_path / "executed")}, folder / "state.pt")
    digest = digest_of(content(folder).read_bytes())
    with pytest.raises(Damaged, match="loaded safely") as caught:
        load_checkpoint(folder, digest)
    assert not (tmp_path / "executed").exists() and "\n" not in str(caught.value)


def test_no_symlink_is_followed(folder, tmp_path):
    digest = save_checkpoint(tmp_path / "elsewhere" / "c", PLAIN).digest
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere" / "c")
    with pytest.raises(Damaged, match="symlink"):
        load_checkpoint(folder, digest)
    with pytest.raises(Damaged, match="symlink"):
        save_checkpoint(folder, PLAIN)
    folder.unlink()
    folder.mkdir()
    (folder / "state.json").symlink_to(tmp_path / "elsewhere" / "c" / "state.json")
    with pytest.raises(Damaged, match="symlink"):
        load_checkpoint(folder, digest)


def test_a_pipe_in_place_of_the_state_is_damage_and_does_not_hang(folder):
    folder.mkdir(parents=True)
    os.mkfifo(folder / "state.pt")
    with pytest.raises(Damaged, match="not a regular file"):
        load_checkpoint(folder)


@pytest.mark.parametrize("bad", [object(), {1, 2}, lambda: 0, torch.Generator()])
def test_a_value_that_would_not_read_back_is_refused_by_its_place(folder, bad):
    with pytest.raises(TaskError, match=r"state\['task'\]\['deep'\]\[1\]: got"):
        save_checkpoint(folder, {"task": {"deep": [0, bad]}})
    assert not folder.parent.exists()


def test_a_numpy_number_is_refused_although_it_is_a_float(folder):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TaskError, match=r"state\['best'\]: got numpy\.float64"):
        save_checkpoint(folder, {"best": numpy.float64(0.5)})


def test_memory_seen_as_two_types_is_the_tasks_trouble_and_leaves_nothing(folder):
    x = torch.zeros(4, dtype=torch.float32)
    with pytest.raises(TaskError, match=r"torch cannot save it: .*different types"):
        save_checkpoint(folder, {"x": x, "bits": x.view(torch.int32)})
    assert os.listdir(folder.parent) == []


def test_a_run_directory_that_is_gone_is_not_made_again(folder):
    shutil.rmtree(folder.parent.parent)
    with pytest.raises(NotARun, match="gone"):
        save_checkpoint(folder, PLAIN)
    assert not folder.parent.parent.exists()


def test_a_folder_nobody_may_write_to_says_so():
    with pytest.raises(NotWritable, match="check owner"):
        save_checkpoint(Path("/sys/kernel/m000.g0000/step-000000001.t1"), PLAIN)


@pytest.mark.parametrize(
    "state", [{"x": "a" * 50_000}, {"x": torch.ones(20_000)}], ids=["json", "pt"]
)
@pytest.mark.parametrize("limit", [30_001, 100])
def test_a_write_cut_short_by_a_limit_is_a_full_disk_and_leaves_nothing(folder, state, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DiskFull, match="MB free there") as caught:
            save_checkpoint(folder, state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(folder.parent) == [] and caught.value.free_bytes > 0
    assert caught.value.path == str(folder)


FILL_A_SMALL_DISK = """
import os, pathlib, sys, torch
from fspop.errors import DiskFull
from fspop.training.checkpoint import load_checkpoint, save_checkpoint
generation = pathlib.Path(sys.argv[1]) / "m000.g0000"
first = save_checkpoint(generation / "step-1", {"x": torch.ones(30_000)})
try:
    save_checkpoint(generation / "step-2", {"x": torch.ones(60_000)})
except DiskFull as error:
    assert "No space left on device (0." in str(error) and error.free_bytes < 256_000
else:
    sys.exit("it fitted")
assert os.listdir(generation) == ["step-1"]
load_checkpoint(generation / "step-1", first.digest)
save_checkpoint(generation / "step-2", {"x": torch.ones(20_000)})
"""


def test_a_full_filesystem_keeps_what_was_saved_and_takes_the_next_that_fits(tmp_path):
    # In a mount namespace of its own, which root has and most systems give to everybody.
    mount_and_fill = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    unshare = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    shell = ["sh", "-c", mount_and_fill, "sh", str(tmp_path), sys.executable, FILL_A_SMALL_DISK]
    subprocess.run([*unshare, *shell], cwd=ROOT, check=True)


def test_a_full_device_is_not_hidden_by_the_archive_writer():
    fd = os.open("/dev/full", os.O_WRONLY)
    file = HashedFile(fd)
    with pytest.raises((OSError, RuntimeError)):
        write_state("state.pt", {"x": torch.ones(9)}, file)
    os.close(fd)
    assert file.error.errno == errno.ENOSPC


SAVE_FOREVER = """
import itertools, pathlib, sys
import torch
from fspop.training.checkpoint import save_checkpoint
print("ready", flush=True)
for n in itertools.count():
    state = {"n": n, "x": torch.full((300_000,), n)} if n % 2 else {"n": n, "x": "y" * 1_000_000}
    save_checkpoint(pathlib.Path(sys.argv[1]) / f"step-{n}", state)
"""


@pytest.mark.slow
def test_kill_9_while_saving_leaves_whole_checkpoints_and_named_temporaries_only(tmp_path):
    left = set()
    for attempt in range(6):
        folder = tmp_path / f"m000.g{attempt:04d}"
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
        )
        with saver:
            saver.stdout.readline()
            time.sleep(0.05 + 0.037 * attempt)
            saver.send_signal(signal.SIGKILL)
        names = os.listdir(folder)
        whole = [name for name in names if not name.startswith(".")]
        for name in whole:
            assert load_checkpoint(folder / name)["n"] == int(name.removeprefix("step-"))
        left |= {temporary_for(name) for name in names if name.startswith(".")}
    assert left and None not in left


def test_the_names_of_temporaries_are_told_from_others():
    assert temporary_for(".step-000000010.t5.0123456789abcdef.tmp") == "step-000000010.t5"
    assert temporary_for("step-000000010.t5") is None
    assert temporary_for(".nfs0000000000000001") is None


def test_plain_checkpoints_do_not_import_torch(tmp_path):
    program = """
import pathlib, sys
from fspop.training import random_state, save_checkpoint, load_checkpoint, Context, Task
random_state.seed_all(3)
folder = pathlib.Path(sys.argv[1]) / "g" / "c"
save_checkpoint(folder, {"random": random_state.capture(), "task": {"a": 1.5}})
random_state.restore(load_checkpoint(folder)["random"])
assert "torch" not in sys.modules and "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
