"""A run directory as a whole: made once, recognised, and never mistaken for another."""

import os

import pytest

from fspop.controller import new_manifest
from fspop.errors import Damaged, NotARun, RunExists, UnknownFormat
from fspop.mutators.base import Mutator
from fspop.paths import RunPaths
from fspop.storage import (
    check_writable,
    create_run,
    open_log,
    read_history,
    read_manifest,
    read_run,
)
from tests.storage.stores import begin, numbers, report


@pytest.fixture
def manifest():
    return new_manifest([{"lr": 0.1}], Mutator(), mode="min", seed=1, records_per_segment=8)


def test_a_run_reads_back_as_it_was_made(tmp_path, manifest):
    paths = RunPaths(tmp_path / "run")
    create_run(paths, manifest)
    assert read_manifest(paths) == manifest
    assert sorted(os.listdir(paths.root)) == [
        "checkpoints", "controller", "logs", "run.json", "workers",
    ]  # fmt: skip


def test_a_run_is_made_once(tmp_path, manifest):
    paths = RunPaths(tmp_path)
    create_run(paths, manifest)
    before = paths.manifest.read_bytes()
    with pytest.raises(RunExists, match="already a run") as raised:
        create_run(paths, new_manifest([1.0], Mutator(), mode="max", seed=2))
    assert raised.value.exit_code == 78 and paths.manifest.read_bytes() == before


def test_a_temporary_of_a_dead_init_is_in_nobodys_way(tmp_path, manifest):
    """Not even where every container calls its process 1."""
    paths = RunPaths(tmp_path)
    for token in (os.getpid(), 1):
        paths.manifest_attempt(str(token)).write_bytes(b"half")
    create_run(paths, manifest)
    assert read_manifest(paths) == manifest


@pytest.mark.parametrize("make", ["missing", "empty", "file"])
def test_what_is_no_run_is_told_apart_and_what_to_do_is_said(tmp_path, make):
    root = tmp_path / "run"
    if make == "empty":
        root.mkdir()
    elif make == "file":
        root.write_text("x")
    with pytest.raises(NotARun, match="fspop init") as raised:
        read_manifest(RunPaths(root))
    assert "\n" not in str(raised.value) and raised.value.exit_code == 78


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'{"format":2}\n', UnknownFormat),
        (b"{}\n", Damaged),
        (b"", Damaged),
        (b"\x00" * 500, Damaged),
    ],
)
def test_a_manifest_that_is_not_what_was_written(tmp_path, manifest, raw, error):
    paths = RunPaths(tmp_path)
    create_run(paths, manifest)
    paths.manifest.write_bytes(raw)
    with pytest.raises(error, match=r"run\.json"):
        read_manifest(paths)


def test_reading_a_run_writes_nothing(tmp_path, manifest):
    paths = RunPaths(tmp_path)
    create_run(paths, manifest)
    log = open_log(paths, manifest)
    begin(log)
    for n in range(20):
        report(log, n)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert read_run(tmp_path) == (manifest, log.refresh())
    assert numbers(read_history(tmp_path)) == [("w", n) for n in range(20)]
    check_writable(paths)
    log_folder = {paths.log, paths.controller}
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert {k: v for k, v in before.items() if k not in log_folder} == {
        k: v for k, v in after.items() if k not in log_folder
    }
    assert set(before) == set(after)


def test_a_run_without_a_log_is_damaged_not_made_anew(tmp_path, manifest):
    paths = RunPaths(tmp_path)
    create_run(paths, manifest)
    paths.log.rmdir()
    for attempt in (lambda: check_writable(paths), lambda: open_log(paths, manifest).refresh()):
        with pytest.raises(Exception, match=r"missing|is gone"):
            attempt()
    assert not paths.log.exists()
