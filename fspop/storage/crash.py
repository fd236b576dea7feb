"""Named places where a test may kill or stop this process; free of cost and effect otherwise.

`FSPOP_CRASH_AT=commit.linked` makes the process kill itself (-9) the first time it gets there,
`commit.linked:3` the third time, `commit.linked%20` each time with a chance of 1 in 20.
"""

import os
import random
import signal

POINTS = (
    "commit.locked",
    "commit.built",
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
)
"""Every name that `reach` is called with."""

_armed = os.environ.get("FSPOP_CRASH_AT", "")
_name, _, _count = _armed.partition(":")
_name, _, _chance = _name.partition("%")
_left = int(_count or 1)
_dice = random.Random(os.getpid())


def reach(point: str) -> None:
    """Declares that `point` was reached; kills the process if a test asked for that."""
    global _left
    if point != _name:
        return
    if _chance:
        if _dice.randrange(int(_chance)):
            return
    else:
        _left -= 1
        if _left > 0:
            return
    os.kill(os.getpid(), signal.SIGKILL)
