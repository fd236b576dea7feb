import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

WORKER = """#!/bin/sh
echo "$@"
echo "data $FSPOP_DATA, stdin $(cat)"
exec sleep 60
"""

pytestmark = pytest.mark.skipif(SSHD is None, reason="sshd is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, timeout_s=100):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"never seen in {timeout_s} s: {what}")


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """An ssh command that logs in to a real sshd of this test's own, on a loopback port."""
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key]
        subprocess.run(command, check=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
    )
    (folder / "ssh_config").write_text(
        f"Host good*\n HostName 127.0.0.1\n Port {port}\n IdentityFile {folder}/user\n"
        f" StrictHostKeyChecking no\n UserKnownHostsFile {folder}/known\n LogLevel ERROR\n"
        f"Host away\n HostName 127.0.0.1\n Port {free_port()}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd drops its privileges
    log = folder / "sshd.log"
    with subprocess.Popen([SSHD, "-D", "-f", folder / "sshd_config", "-E", log]) as sshd:
        wait_for(lambda: answers(port), f"sshd on port {port}, see {log}")
        yield f"ssh -F {folder}/ssh_config"
        sshd.terminate()


@pytest.fixture
def run_dir(tmp_path):
    """A directory that looks like a run to the shell; its name wants quoting."""
    folder = tmp_path / "it's a run"
    (folder / "logs").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    return folder


@pytest.fixture
def start(tmp_path, run_dir, ssh):
    """Runs bin/fspop-ssh with these lines in HOSTS; ends the workers it reports afterwards."""
    pids = []
    worker = tmp_path / "stand-in"
    worker.write_text(WORKER)
    worker.chmod(0o755)

    def start(hosts, folder=run_dir, **environment):
        (tmp_path / "HOSTS").write_text(hosts)
        environment = {"FSPOP_SSH": ssh, "FSPOP_REMOTE": str(worker), **environment}
        done = subprocess.run(
            [ROOT / "bin/fspop-ssh", tmp_path / "HOSTS", folder],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        lines = [line for line in done.stdout.splitlines() if " started, pid " in line]
        pids.extend(int(line.split("pid ")[1].split(",")[0]) for line in lines)
        return done

    start.pids = pids
    yield start
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_each_line_becomes_a_worker_with_its_place_as_id(start, run_dir):
    done = start("good-1\n\n# a comment\ngood-2   # the same machine\ngood-1 spare.3")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(", pid")[0] for line in done.stdout.splitlines()] == [
        "good-1: worker 0 started",
        "good-2: worker 1 started",
        "good-1: worker spare.3 started",
    ]
    for id in ("0", "1", "spare.3"):
        log = run_dir / f"logs/worker-{id}.log"
        assert log.read_text().splitlines()[0] == f"worker --id {id} --dir {run_dir}"


def test_a_worker_outlives_the_login_and_has_a_session_of_its_own(start):
    start("good")
    (pid,) = start.pids
    assert os.getsid(pid) == pid
    os.kill(pid, 0)


def test_the_remote_command_may_set_the_environment_and_stdin_is_empty(start, run_dir, tmp_path):
    start("good", FSPOP_REMOTE=f"env FSPOP_DATA=/data {tmp_path}/stand-in")
    log = (run_dir / "logs/worker-0.log").read_text()
    assert log.splitlines()[1] == "data /data, stdin "


def test_the_real_worker_joins_the_run_and_finishes_it(start, tmp_path):
    fspop = tmp_path / "fspop"
    lines = [f"#!{sys.executable}", f"import sys; sys.path.insert(0, {str(ROOT)!r})"]
    fspop.write_text("\n".join([*lines, "from fspop.cli.app import main", "main()"]))
    fspop.chmod(0o755)
    run, example = tmp_path / "run", ROOT / "examples/synthetic.py"
    subprocess.run([fspop, "init", example, "--dir", run], check=True)
    done = start("good\ngood", folder=run, FSPOP_REMOTE=f"env FSPOP_SYNTHETIC_STEPS=60 {fspop}")
    assert done.returncode == 0, done.stdout
    status = [fspop, "status", "--json", "--dir", run]
    finished = '"state": "finished"'
    wait_for(lambda: finished in subprocess.check_output(status, text=True), "finished", 60)


def test_one_host_that_is_away_does_not_stop_the_others(start):
    done = start("away\ngood")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("away: worker 0 NOT started (exit 255): ") and "refused" in first
    assert second.startswith("good: worker 1 started, pid ")


def test_a_worker_that_ends_at_once_is_reported_with_its_last_line(start, tmp_path):
    (tmp_path / "bad").write_text("#!/bin/sh\necho fspop: something is wrong >&2\nexit 78\n")
    (tmp_path / "bad").chmod(0o755)
    done = start("good", FSPOP_REMOTE=str(tmp_path / "bad"))
    assert done.returncode == 1
    assert done.stdout == "good: worker 0 NOT started (exit 78): fspop: something is wrong\n"


def test_a_directory_without_a_run_is_found_on_the_host(start, tmp_path):
    done = start("good", folder=tmp_path)
    assert done.stdout == f"good: worker 0 NOT started (exit 78): there is no run in {tmp_path}\n"


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        ("good one two", "HOSTS line 1: got 'good one two', but a line is 'host' or 'host id'"),
        ("good\ngood a/b", "HOSTS line 2: got the worker id 'a/b'"),
        ("good .hidden", "HOSTS line 1: got the worker id '.hidden'"),
        ("good 1\ngood", "HOSTS line 2: worker id 1 stands there twice"),
        ("-oProxyCommand=x", "HOSTS line 1: got '-oProxyCommand=x'"),
        ("# nobody\n", "names no host"),
    ],
)
def test_bad_hosts_are_refused_before_anything_starts(start, hosts, complaint):
    done = start(hosts)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr and done.stderr.count("\n") == 1


def test_a_relative_directory_is_refused(start):
    done = start("good", folder="runs/mine")
    assert done.returncode == 2 and "absolute path" in done.stderr


def test_a_missing_argument_or_file_is_refused(tmp_path):
    script = ROOT / "bin/fspop-ssh"
    for arguments in ([], ["HOSTS"], [tmp_path / "no-such-file", "/run"]):
        done = subprocess.run([script, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
