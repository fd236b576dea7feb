"""A request to stop wakes whoever sleeps, at any instruction."""

import signal
import subprocess
import sys
import time

PROGRAM = """
from fspop.worker.signals import StopRequest
stop = StopRequest()
stop.install()
print("ready", flush=True)
while not stop.wait(0.0003):
    pass
print(stop.reason)
"""


def test_a_signal_between_any_two_instructions_of_a_wait_is_heard():
    for i in range(8):
        child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        time.sleep(0.01 + i * 0.0007)
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=100)
        assert out == "SIGTERM\n" and child.returncode == 0


def test_a_wait_ends_at_once_when_asked_and_later_ones_do_not_wait():
    from fspop.worker.signals import StopRequest

    stop = StopRequest()
    assert not stop.wait(0.01)
    stop.request("first")
    stop.request("second")
    begun = time.monotonic()
    assert stop.wait(10) and stop.is_set and stop.reason == "first"
    assert time.monotonic() - begun < 5


FORKING = """
import os, signal
from fspop.worker.signals import StopRequest
stop = StopRequest()
stop.install()
child = os.fork()
if not child:
    while True:
        signal.pause()
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]), stop.is_set)
"""


def test_a_forked_child_of_a_task_dies_of_sigterm_as_its_parent_expects():
    """Else leaving a multiprocessing.Pool waits for ever."""
    command = [sys.executable, "-c", FORKING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stdout == "15 False\n", done.stderr
