"""A full disk and a directory one may not write to: named errors, nothing lost, nothing left."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fspop.errors import DiskFull, NotWritable
from fspop.storage import check_writable
from fspop.storage.snapshot import read_records
from tests.storage.stores import begin, make_paths, numbers, report, small_log
"""


def run(script, *arguments, namespace=False):
    """Runs `script` in a process of its own, in a mount namespace where asked for."""
    prefix = ["unshare", "--user", "--map-root-user", "--mount"] if namespace else []
    command = [*prefix, sys.executable, "-c", PRELUDE + textwrap.dedent(script), ROOT, *arguments]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=100
    )


def may_mount():
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_mount = pytest.mark.skipif(not may_mount(), reason="needs: unprivileged mount namespaces")


@needs_mount
def test_a_full_disk_says_so_at_once_and_loses_nothing(tmp_path):
    done = run(
        """
        mount = Path(sys.argv[2])
        os.system(f"mount -t tmpfs -o size=400k tmpfs {mount}")
        paths = make_paths(mount)
        log = small_log(paths)
        begin(log)
        acknowledged = []
        (mount / "ballast").write_bytes(b"x" * 40_000)
        try:
            for n in range(10_000):
                report(log, n)
                acknowledged.append(("w", n))
        except DiskFull as error:
            print(error)
        assert numbers(read_records(paths, 8)) == acknowledged, "lost"
        assert small_log(paths).refresh() == log.refresh()
        assert not [p for p in paths.log.iterdir() if p.suffix == ".tmp"], "left behind"
        try:
            check_writable(paths)
        except DiskFull:
            pass
        (mount / "ballast").unlink()
        report(log, 10_000)
        assert numbers(read_records(paths, 8)) == [*acknowledged, ("w", 10_000)]
        """,
        tmp_path,
        namespace=True,
    )
    assert done.returncode == 0, done.stderr
    assert (
        "No space left on device (0.0 MB" in done.stdout and "nothing acknowledged" in done.stdout
    )


READ_ONLY = """
    paths = make_paths.__globals__["RunPaths"](Path("run"))
    log = small_log(paths, patience_s=0.05)
    before = sorted(p.name for p in paths.root.rglob("*"))
    assert log.refresh().seq == 1
    for attempt in (lambda: report(log, 1), lambda: check_writable(paths)):
        try:
            attempt()
            raise SystemExit("written")
        except NotWritable as error:
            assert "\\n" not in str(error) and str(paths.log) in str(error)
    assert sorted(p.name for p in paths.root.rglob("*")) == before
"""


@needs_mount
def test_a_read_only_mount_can_be_read_and_says_that_it_cannot_be_written(tmp_path, log):
    remount = """
    where = sys.argv[2]
    os.system(f"mount --bind {where} {where} && mount -o remount,bind,ro {where}")
    os.chdir(where)
    """
    script = textwrap.dedent(remount) + textwrap.dedent(READ_ONLY)
    done = run(script, tmp_path, namespace=True)
    assert done.returncode == 0, done.stderr


def test_somebody_elses_directory_can_be_read_and_says_that_it_cannot_be_written(tmp_path, log):
    for path in [tmp_path / "run", *(tmp_path / "run").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o755)
    become_nobody = "os.chdir(sys.argv[2])\nos.getuid() or os.setuid(65534)\n"
    done = run(become_nobody + textwrap.dedent(READ_ONLY), tmp_path)
    assert done.returncode == 0, done.stderr
