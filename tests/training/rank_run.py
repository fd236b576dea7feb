"""Runs a program as several ranks of one worker: real processes, gloo on the loopback."""

import os
import socket
import subprocess
import sys
import textwrap

PREAMBLE = """
import sys
import torch
import torch.distributed as dist
from pathlib import Path
from fspop.training.ranks import Ranks, new_group
dist.init_process_group("gloo")
ranks = Ranks(dist.get_rank(), dist.get_world_size(), dist.get_rank(), group=new_group())
folder = Path(sys.argv[1])
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_ranks(command, n, **environment):
    """`command` once a rank, with what torchrun would tell it."""
    common = {
        **os.environ,
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(n),
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    return [
        subprocess.Popen(
            command(rank) if callable(command) else command,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]


def finish_all(processes, timeout_s=300):
    """(exit code, stdout, stderr) of each; none is left behind."""
    try:
        ends = [process.communicate(timeout=timeout_s) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    return [(p.returncode, *end) for p, end in zip(processes, ends, strict=True)]


def run_ranks(program, n, folder):
    """Runs `program` on `n` ranks, with `ranks` and `folder` at hand; returns what each printed."""
    source = PREAMBLE + textwrap.dedent(program) + "\ndist.destroy_process_group()\n"
    ends = finish_all(start_ranks([sys.executable, "-c", source, str(folder)], n))
    for code, _, err in ends:
        assert code == 0, err[-3000:]
    return [out.split() for _, out, _ in ends]
