"""Ties a command's life to its supervisor's: `python tied.py SUPERVISOR_PID COMMAND...`.

When the supervisor dies, even by kill -9, the kernel sends the command SIGTERM (PR_SET_PDEATHSIG),
so a worker checkpoints and ends instead of training on unseen. A small program rather than a
preexec_fn, because running Python between fork and exec is unsafe beside the supervisor's threads.
Linux only; elsewhere the command simply runs. Run as a file: it imports nothing of fspop.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(supervisor_pid: int, command: list[str]) -> int:
    """Replaces this process by `command`; returns an exit code only where that is impossible."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != supervisor_pid:
            return 0  # it died before the line above; there is nobody to work for
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"fspop: cannot start {command[0]!r}: {error.strerror}", file=sys.stderr)
        return 78


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
