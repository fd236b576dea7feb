"""A host's copies of checkpoints: never wrong, never in the way, never larger than allowed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fspop.errors import Damaged, InvalidSetting, NotWritable
from fspop.training import save_checkpoint
from fspop.worker.cache import CheckpointCache
from tests.worker.test_daemon import EXPERIMENT, finish, fspop

ROOT = Path(__file__).parents[2]
MB = 1_000_000


def save(tmp_path, n, size_bytes=2 * MB):
    """A checkpoint that says `n`: its folder and what a record says about it."""
    folder = tmp_path / "shared" / f"c{n}"
    folder.parent.mkdir(exist_ok=True)
    return folder, *reversed(save_checkpoint(folder, {"n": n, "pad": "x" * size_bytes}))


def read(cache, saved):
    with cache.opened(*saved, "cpu") as state:
        return state["n"]


def copies(cache):
    return [path for path in cache.folder.iterdir() if path.is_dir()]


def size(folder):
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a worker has just removed it
                total += os.stat(os.path.join(where, name)).st_size
    return total


@pytest.fixture
def cache(tmp_path):
    return CheckpointCache(tmp_path / "cache", limit_gb=0.005)


def test_what_was_read_once_is_read_from_the_copy(tmp_path, cache):
    saved = save(tmp_path, 7)
    assert read(cache, saved) == 7 and size(cache.folder) == size(saved[0])
    next(saved[0].iterdir()).unlink()
    assert read(cache, saved) == 7
    assert read(CheckpointCache(cache.folder), saved) == 7, "another worker's, or another run's"


@pytest.mark.parametrize("harm", ["flip", "halve", "remove"])
def test_a_damaged_copy_is_dropped_and_made_again(tmp_path, cache, caplog, harm):
    saved = save(tmp_path, 7)
    read(cache, saved)
    (file,) = cache.folder.rglob("state.json")
    data = file.read_bytes()
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(data[:9] + b"#" + data[10:] if harm == "flip" else data[: len(data) // 2])
    assert read(cache, saved) == 7 and "the copy is dropped" in caplog.text
    assert copies(cache) == []
    assert read(cache, saved) == 7 and size(cache.folder) == len(data)


def test_the_copies_used_last_stay(tmp_path, cache):
    saved = [save(tmp_path, n) for n in range(3)]
    names = [digest.replace(":", "-") for _, digest, _ in saved]
    for n in (0, 1):
        read(cache, saved[n])
        os.utime(cache.folder / names[n], (n, n))
    for n in (0, 2):
        read(cache, saved[n])
    assert {path.name for path in copies(cache)} == {names[0], names[2]}


@pytest.mark.parametrize("size_bytes", [10, 6 * MB])
def test_a_small_one_is_not_worth_it_and_a_large_one_does_not_fit(tmp_path, cache, size_bytes):
    assert read(cache, save(tmp_path, 7, size_bytes)) == 7
    assert copies(cache) == []


def test_damage_of_the_original_names_the_original(tmp_path, cache):
    saved = save(tmp_path, 7)
    next(saved[0].iterdir()).write_bytes(b"x" * 2 * MB)
    with pytest.raises(Damaged) as caught:
        read(cache, saved)
    assert Path(caught.value.path).parent == saved[0] and copies(cache) == []


def test_a_cache_that_fails_is_said_and_costs_nothing_else(tmp_path, cache, caplog):
    saved = save(tmp_path, 7)
    (cache.folder / "lock").unlink()
    cache.folder.rmdir()
    cache.folder.write_text("a file where the folder was")
    assert read(cache, saved) == 7 and "no copy of c7 is kept" in caplog.text


def test_nobody_waits_for_a_worker_that_stopped_while_it_changed_the_cache(tmp_path, cache):
    saved = save(tmp_path, 7)
    with CheckpointCache(cache.folder)._lock() as mine:
        assert mine
        assert read(cache, saved) == 7 and copies(cache) == []


def test_a_cache_that_cannot_work_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match="file cannot be used"):
        CheckpointCache(tmp_path / "file")
    with pytest.raises(InvalidSetting, match="got a limit of 0 GB"):
        CheckpointCache(tmp_path / "cache", 0)


READ = """
import pathlib, random, sys
from fspop.worker.cache import CheckpointCache
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
cache = CheckpointCache(folder, 0.005)
for n in random.choices(range(len(words) // 3), k=10_000):
    path, digest, size = words[3 * n : 3 * n + 3]
    with cache.opened(pathlib.Path(path), digest, int(size), "cpu") as state:
        assert state["n"] == n
    print(n, flush=True)
"""


def reader(cache, saved, **environment):
    words = [sys.executable, "-c", READ, cache.folder, *(word for each in saved for word in each)]
    return subprocess.Popen(
        list(map(str, words)), cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )


def test_a_part_that_a_killed_worker_left_is_removed_by_the_next(tmp_path, cache):
    saved = [save(tmp_path, n) for n in range(2)]
    victim = reader(cache, saved, FSPOP_CRASH_AT="cache.copied")
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    assert [path.name[-5:] for path in copies(cache)] == [".part"]
    assert [read(cache, each) for each in saved] == [0, 1]
    assert len(copies(cache)) == 2 and not list(cache.folder.glob(".*"))


def test_workers_that_share_it_and_are_killed_read_what_was_saved_and_keep_to_its_size(
    tmp_path, cache
):
    saved = [save(tmp_path, n) for n in range(4)]
    readers = [reader(cache, saved) for _ in range(3)]
    try:
        for process in readers:
            assert process.stdout.readline()
        for _ in range(6):
            time.sleep(0.2)
            assert size(cache.folder) <= 5 * MB
            assert [process.poll() for process in readers] == [None] * 3, "one read another state"
            victim = readers.pop(random.randrange(3))
            victim.kill()
            victim.communicate()
            readers.append(reader(cache, saved))
    finally:
        for process in readers:
            process.kill()
            process.communicate()
    for n, each in enumerate(saved):
        assert read(cache, each) == n


def test_a_worker_keeps_its_copies_where_it_is_told_to(tmp_path):
    padded = EXPERIMENT.replace('{"x": self.x}', '{"x": self.x, "pad": "x" * 2_000_000}')
    (tmp_path / "walk.py").write_text(padded)
    words = ["run", tmp_path / "walk.py", "--dir", tmp_path / "run", "--workers", 1]
    (tmp_path / "file").touch()
    code, _, err = finish(fspop(*words, "--cache", tmp_path / "file"))
    assert code == 78 and "cache: " in err and "cannot be used" in err
    environment = {"FSPOP_CACHE": str(tmp_path / "cache")}
    code, _, err = finish(fspop(*words, "--cache-gb", 0.005, **environment))
    assert code == 0, err
    assert 0 < size(tmp_path / "cache") <= 5 * MB
