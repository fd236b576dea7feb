"""Named places where a test may kill or stop this process; free of cost and effect otherwise.

`FSPOP_CRASH_AT=commit.linked` makes the process kill itself (-9) the first time it gets there,
`commit.linked:3` the third time, `commit.linked%20` each time with a chance of 1 in 20.
`FSPOP_STOP_AT` stops it there in the same way, until somebody sends SIGCONT.
"""

import os
import random
import signal

POINTS = (
    "commit.locked",
    "commit.built",
    "commit.offered",
    "commit.written",
    "commit.linked",
    "commit.unlocked",
    "commit.synced",
    "commit.acknowledged",
    "compact.read",
    "compact.segment",
    "compact.snapshot",
    "compact.cleaning",
    "compact.cleaned",
    "worker.claimed",
    "worker.restored",
    "worker.saved",
    "worker.reported",
    "worker.deleting",
    "cache.copied",
)
"""Every name that `reach` is called with."""


class _Trigger:
    """What an environment variable asks for: a signal, a point, and when."""

    def __init__(self, variable: str, number: signal.Signals):
        name, _, count = os.environ.get(variable, "").partition(":")
        self.name, _, chance = name.partition("%")
        self._left = int(count or 1)
        self._chance = int(chance or 0)
        self._signal = number
        self._dice = random.Random(os.getpid())

    def pull(self) -> None:
        """Counts one arrival at the point; sends the signal if it is the one."""
        if self._chance:
            due = self._dice.randrange(self._chance) == 0
        else:
            self._left -= 1
            due = self._left == 0
        if due:
            os.kill(os.getpid(), self._signal)


_triggers = [
    _Trigger("FSPOP_CRASH_AT", signal.SIGKILL),
    _Trigger("FSPOP_STOP_AT", signal.SIGSTOP),
]


def reach(point: str) -> None:
    """Declares that `point` was reached; kills or stops the process if a test asked for that."""
    for trigger in _triggers:
        if trigger.name == point:
            trigger.pull()
