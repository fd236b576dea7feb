"""The same worker code in one process, in threads and in processes makes the same decisions."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from fspop.records import Born
from fspop.storage import read_history
from tests.controller import crew

STEPS = 45


def decisions(root):
    births = [op for record in read_history(root) for op in record.ops if isinstance(op, Born)]
    return sorted((b.member, b.index, repr(b.hparams), repr(b.origin)) for b in births)


def in_threads(controllers):
    threads = [
        threading.Thread(target=crew.work, args=[controller, i, STEPS])
        for i, controller in enumerate(controllers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)


def start(root, member):
    command = [sys.executable, crew.__file__, root, member, STEPS]
    return subprocess.Popen([str(word) for word in command])


def test_threads_sharing_an_object_threads_with_their_own_and_processes_agree(tmp_path):
    shared = crew.open_controller(tmp_path / "shared")
    in_threads([shared] * 3)
    in_threads([crew.open_controller(tmp_path / "own") for _ in range(3)])
    processes = [start(tmp_path / "processes", i) for i in range(3)]
    assert [process.wait(100) for process in processes] == [0, 0, 0]
    first = decisions(tmp_path / "shared")
    assert len(first) == 15
    assert decisions(tmp_path / "own") == first == decisions(tmp_path / "processes")


def test_processes_killed_at_random_make_the_same_decisions(tmp_path):
    in_threads([crew.open_controller(tmp_path / "calm")] * 3)
    root, kills = tmp_path / "killed", 0
    processes = [start(root, i) for i in range(3)]
    deadline = time.monotonic() + 90
    while any(process.poll() is None for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.15)
        victim = kills % 3
        if kills < 12 and processes[victim].poll() is None and Path(root / "run.json").exists():
            processes[victim].send_signal(signal.SIGKILL)
            processes[victim].wait()
            processes[victim] = start(root, victim)
        kills += 1
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert decisions(root) == decisions(tmp_path / "calm")
