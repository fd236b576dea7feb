"""Files that are whole or absent."""

import errno
import os
import pickle

import pytest

from fspop.errors import DiskFull, NotWritable, StorageUnavailable
from fspop.storage import atomic


def test_a_file_is_created_whole_and_never_over_another(tmp_path):
    path = tmp_path / "x"
    atomic.create(path, b"one")
    with pytest.raises(FileExistsError):
        atomic.create(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_file_that_could_not_be_written_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        atomic.create(tmp_path / "x", b"one")
    assert os.listdir(tmp_path) == []


def test_a_write_that_takes_nothing_is_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError) as raised:
        atomic.create(tmp_path / "x", b"one")
    assert raised.value.errno == errno.ENOSPC


def test_publishing_happens_once_and_leaves_no_temporary(tmp_path):
    path, temporary = tmp_path / "x", tmp_path / ".x"
    assert atomic.publish(path, b"one", temporary) is True
    assert atomic.publish(path, b"two", temporary) is False
    assert os.listdir(tmp_path) == ["x"] and path.read_bytes() == b"one"


@pytest.mark.parametrize("sync", [True, False])
def test_replacing_leaves_no_temporary_also_where_it_fails(tmp_path, monkeypatch, sync):
    path, temporary = tmp_path / "x", tmp_path / ".x"
    for data in (b"one", b"two"):
        atomic.replace(path, data, temporary, sync=sync)
    assert os.listdir(tmp_path) == ["x"] and path.read_bytes() == b"two"
    monkeypatch.setattr(os, "rename", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        atomic.replace(path, b"three", temporary, sync=sync)
    assert os.listdir(tmp_path) == ["x"] and path.read_bytes() == b"two"


def test_symbolic_links_are_neither_read_nor_written_through(tmp_path):
    (tmp_path / "target").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for attempt in (
        lambda: atomic.read(tmp_path / "link"),
        lambda: atomic.create(tmp_path / "link", b"x"),
    ):
        with pytest.raises(OSError):
            attempt()
    assert (tmp_path / "target").read_bytes() == b"secret"


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, DiskFull, "free some space"),
        (errno.EDQUOT, DiskFull, "free some space"),
        (errno.EACCES, NotWritable, "check owner, mode"),
        (errno.EROFS, NotWritable, "check owner, mode"),
        (errno.EIO, StorageUnavailable, "check the mount"),
        (errno.ESTALE, StorageUnavailable, "check the mount"),
    ],
)
def test_every_error_is_named_with_path_and_advice_and_survives_a_pickle(
    tmp_path, number, kind, advice
):
    error = atomic.as_fspop_error(OSError(number, os.strerror(number)), tmp_path / "x", "cannot")
    assert type(error) is kind and advice in str(error) and str(tmp_path / "x") in str(error)
    assert "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.path) == (kind, str(error), tmp_path / "x")


def fails(number):
    def call(*arguments, **settings):
        raise OSError(number, os.strerror(number))

    return call
