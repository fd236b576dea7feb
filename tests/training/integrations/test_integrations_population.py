"""Other trainers' loops in real workers: killed with -9 and resumed, they end the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fspop.storage import read_run

MEMBERS = Path(__file__).parent / "members"
KINDS = ["plain_loop", "accelerated", "lit", "bert"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def fspop(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "fspop", *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def trained(root, kind, *deaths):
    """A finished run of one worker; `deaths` are the steps of member 1 at which it is killed."""
    assert fspop("init", MEMBERS / f"{kind}.py", "--dir", root).returncode == 0
    for step in deaths:
        died = fspop("worker", "--id", 0, "--dir", root, DIE_AT=str(step))
        assert died.returncode == -9, died.stdout + died.stderr
    done = fspop("worker", "--id", 0, "--dir", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return read_run(root)[1]


def ends(state):
    """What each member ended with: its lineage's hparams and the digest of its checkpoint."""
    generations = [member.generation for member in state.members]
    return [(each.id, each.hparams, each.restart.digest) for each in generations]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_ends_with_the_bits_of_one_that_was_left_alone(kind, tmp_path):
    alone = trained(tmp_path / "alone", kind)
    killed = trained(tmp_path / "killed", kind, 39)
    assert ends(killed) == ends(alone)
    assert [m.status for m in alone.members] == ["finished"] * 3
    assert any(m.generation.index > 1 for m in alone.members), "nothing was exploited"
    assert not any(m.failures for m in killed.members)
