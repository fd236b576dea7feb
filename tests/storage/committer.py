"""A process that commits numbered reports and writes down, in a file of its own, which of them were
acknowledged: `python committer.py ROOT NAME SECONDS SIZE [--no-lock] [--pipelined]
[--count N]`. --pipelined: gives the lock back before the flush, however fast that is.

NAME goes on numbering where a killed predecessor of that name ended: one above the last number it
*began*, so no number is ever used twice.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from fspop.paths import RunPaths
from fspop.records import Reported
from fspop.storage import FileLog
from fspop.storage.log import PIPELINED_ABOVE_S


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("name")
    parser.add_argument("seconds", type=float)
    parser.add_argument("size", type=int)
    parser.add_argument("--no-lock", action="store_true")
    parser.add_argument("--pipelined", action="store_true")
    parser.add_argument("--count", type=int, default=10**9)
    given = parser.parse_args()
    above_s = -1.0 if given.pipelined else PIPELINED_ABOVE_S
    paths, use_lock = RunPaths(given.root), not given.no_lock
    log = FileLog(paths, given.size, use_lock=use_lock, pipelined_above_s=above_s)
    diary = os.open(given.root / f"{given.name}.diary", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    begun = [line for line in os.read(diary, 10**8).split(b"\n") if line.startswith(b"begun ")]
    n = int(begun[-1].split()[1]) + 1 if begun else 0
    end, last = time.monotonic() + given.seconds, n + given.count
    while time.monotonic() < end and n < last:
        os.write(diary, b"begun %d\n" % n)
        op = Reported("m000.g0001", n, float(n), {"n": n, "worker": given.name})
        committed = log.commit(given.name, lambda state, op=op: [op])
        os.write(diary, b"done %d %d\n" % (n, committed.record.seq))
        n += 1


if __name__ == "__main__":
    main()
