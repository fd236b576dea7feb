"""Committers without a lock that a test stops, continues and kills at random places."""

import os
import random
import signal
import time

from tests.storage.processes import end, start


class Committers:
    """`n` processes on one log; a killed one is started again. Ends them all on leaving."""

    def __init__(self, paths, n, seconds, size, *flags, **environment):
        self.paths, self.size, self.flags = paths, size, flags
        self.environment = environment
        self.deadline = time.monotonic() + seconds
        self.processes = {f"p{i}": None for i in range(n)}
        self.stopped = {}
        self.kills = self.stops = 0

    def launch(self, name):
        left = max(0.0, self.deadline - time.monotonic())
        self.processes[name] = start(
            self.paths, name, left, self.size, *self.flags, **self.environment
        )

    def __enter__(self):
        for name in self.processes:
            self.launch(name)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            end(process)

    def stop_at_random(self, seed, stopped_s=0.25, pause_s=0.05):
        """Each is stopped at any instruction, continued after `stopped_s`, until time is over."""
        dice = random.Random(seed)
        while time.monotonic() < self.deadline:
            time.sleep(dice.uniform(0, 2 * pause_s))
            name = dice.choice(list(self.processes))
            if name not in self.stopped:
                self.signal(name, signal.SIGSTOP)
                self.stopped[name] = time.monotonic()
                self.stops += 1
            self.continue_those_stopped_for(stopped_s)
        self.continue_those_stopped_for(0.0)
        self.finish()

    def continue_those_stopped_for(self, seconds):
        for name, since in list(self.stopped.items()):
            if time.monotonic() - since >= seconds:
                del self.stopped[name]
                self.signal(name, signal.SIGCONT)

    def tend(self, stopped_s=0.25):
        """Starts the killed again and continues those that stopped themselves, until time is
        over.
        """
        while time.monotonic() < self.deadline:
            time.sleep(0.01)
            for name, process in self.processes.items():
                if process.poll() is not None:
                    assert end(process) in (0, -signal.SIGKILL)
                    self.kills += process.returncode == -signal.SIGKILL
                    self.launch(name)
                elif name not in self.stopped and is_stopped(process.pid):
                    self.stopped[name] = time.monotonic()
                    self.stops += 1
            self.continue_those_stopped_for(stopped_s)
        self.environment = {}
        self.finish()

    def finish(self):
        """Waits for the end of all, continuing those that stop themselves."""
        deadline = time.monotonic() + 30
        while any(p.poll() is None for p in self.processes.values()):
            assert time.monotonic() < deadline, "not finished"
            for process in self.processes.values():
                if process.poll() is None and is_stopped(process.pid):
                    process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        codes = {name: end(process) for name, process in self.processes.items()}
        assert set(codes.values()) <= {0, -signal.SIGKILL}, codes

    def signal(self, name, number):
        if self.processes[name].poll() is None:
            os.kill(self.processes[name].pid, number)


def is_stopped(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False
