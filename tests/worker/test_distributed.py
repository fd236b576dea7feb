"""A worker of two ranks, by torchrun: killed, stopped, wrong on one rank."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fspop.records import Born, Left
from fspop.storage import read_history, read_run
from fspop.training import load_checkpoint
from tests.training.rank_run import finish_all, free_port, start_ranks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NET = Path(__file__).with_name("net.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def init(root):
    command = [sys.executable, "-m", "fspop", "init", str(NET), "--dir", str(root)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return root


def torchrun(root, *options, **environment):
    """One worker of two ranks, which torchrun starts again `--max-restarts` times."""
    port = ["--master-port", str(free_port())]
    return subprocess.Popen(
        [*TORCHRUN, *port, *options, *worker(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MARKER": str(root.with_name("marker")), **environment},
    )


def worker_of_two(root, device="cpu", **environment):
    """The same without torchrun around it: the two processes, to be watched and ended."""
    return start_ranks([sys.executable, *worker(root, device)], 2, **environment)


def worker(root, device="cpu", worker_id=0):
    fixed = ["-m", "fspop", "worker", "--dir", str(root), "--device", device]
    return [*fixed, "--id", str(worker_id)]


def births(root):
    found = [op for record in read_history(root) for op in record.ops if isinstance(op, Born)]
    return sorted((b.member, b.index, repr(b.hparams), b.reason) for b in found)


def ending(root):
    """What a run came to: its decisions, and the bits of all ranks' last checkpoints."""
    members = read_run(root)[1].members
    assert [m.status for m in members] == ["finished"] * 2
    return births(root), [m.generation.checkpoints[-1].digest for m in members]


def last_checkpoint(root, member=0):
    return root / read_run(root)[1].members[member].generation.checkpoints[-1].params


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = init(tmp_path_factory.mktemp("undisturbed") / "run")
    for code, _, err in finish_all(worker_of_two(root)):
        assert code == 0, err
    return root


def test_two_ranks_finish_a_run_and_keep_one_model(undisturbed):
    folder = last_checkpoint(undisturbed)
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["rank-1.state.pt", "ranks.json", "state.pt"]
    whole = load_checkpoint(folder)["task"]
    assert whole["step"] == 30 and whole["model"]["0.weight"].shape == (16, 8)
    own = (folder / "rank-1.state.pt").stat().st_size
    assert own < (folder / "state.pt").stat().st_size, "rank 1 wrote what rank 0 has too"
    assert not list((undisturbed / "workers").iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_costs_no_bit(undisturbed, tmp_path, rank):
    root = init(tmp_path / "run")
    process = torchrun(root, "--max-restarts", "2", KILL=f"{rank}@19", STEP_S="0.1")
    ((code, out, err),) = finish_all([process], 300)
    assert code == 0, err[-3000:]
    assert (tmp_path / "marker").exists()
    assert re.search(r"training (m\S+) from \1 at step 15", out), "from a report of its own"
    assert ending(root) == ending(undisturbed)
    ops = [op for record in read_history(root) for op in record.ops]
    deaths = [op for op in ops if isinstance(op, Left) and op.died]
    assert bool(deaths) == (rank == 1), "rank 0 says that another died; its own end is found out"


def wait_for_step(root, step, timeout_s=100):
    deadline = time.monotonic() + timeout_s
    while not any(m.generation.step >= step for m in read_run(root)[1].members):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_any_rank_makes_all_save_and_end_with_zero(tmp_path, rank):
    root = init(tmp_path / "run")
    processes = worker_of_two(root, STEP_S="0.3")
    wait_for_step(root, 5)
    time.sleep(0.4)
    processes[rank].send_signal(signal.SIGTERM)
    ends = finish_all(processes)
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert "stopping on SIGTERM" in ends[0][1]
    state = read_run(root)[1]
    assert not state.workers and all(m.claim is None for m in state.members)
    assert any(m.generation.step % 5 for m in state.members), "it saved between two reports"


def test_hparams_that_are_not_in_effect_on_one_rank_fail_the_member(tmp_path):
    root = init(tmp_path / "run")
    ends = finish_all(worker_of_two(root, STUBBORN="1"))
    assert [code for code, _, _ in ends] == [0, 0], ends
    members = read_run(root)[1].members
    assert [m.status for m in members] == ["failed"] * 2
    assert re.match("HparamsNotApplied: rank 1: hparam 'learning_rate': assig", members[0].error)


def test_a_rank_that_raises_alone_is_on_record_and_ends_the_attempt(tmp_path):
    root = init(tmp_path / "run")
    ends = finish_all(worker_of_two(root, RAISE="1@7"))
    assert 75 in [code for code, _, _ in ends], ends
    member = read_run(root)[1].members[0]
    assert member.failures == 1 and member.claim is None
    assert "rank 1: train: RuntimeError: the data is gone" in member.error


def test_a_task_that_knows_of_no_ranks_is_refused_in_one_line(tmp_path):
    source = NET.read_text().replace("distributed = True", "distributed = False")
    (tmp_path / "net.py").write_text(source)
    command = [sys.executable, "-m", "fspop", "init", tmp_path / "net.py", "--dir", tmp_path / "r"]
    subprocess.run(command, check=True, capture_output=True)
    ends = finish_all(worker_of_two(tmp_path / "r"))
    code, _, err = ends[0]
    assert code == 78 and err.count("\n") == 1 and "distributed = True" in err
    assert not read_run(tmp_path / "r")[1].workers


def test_ranks_with_different_ids_are_refused_on_all(tmp_path):
    root = init(tmp_path / "run")

    def command(rank):
        return [sys.executable, *worker(root, worker_id=rank)]

    for code, _, err in finish_all(start_ranks(command, 2)):
        assert code == 78 and "rank 1 was started with --id 1, rank 0 with --id 0" in err
        assert err.count("\n") == 1


def test_world_size_from_somebody_else_is_said_and_the_worker_trains_alone(tmp_path):
    root = init(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, *worker(root)],
        capture_output=True,
        text=True,
        env={**os.environ, "WORLD_SIZE": "4", "RANK": "2"},
    )
    assert done.returncode == 0 and "WORLD_SIZE=4 is set, but not by torchrun" in done.stdout
    assert (last_checkpoint(root) / "state.pt").exists()


def test_one_process_goes_on_from_a_checkpoint_of_two(undisturbed):
    state = load_checkpoint(last_checkpoint(undisturbed))
    assert set(state) == {"task", "random"} and state["random"]["python"]


@pytest.mark.gpu
@pytest.mark.parametrize("killed", ["", "1@17"])
def test_two_gpus_by_nccl(tmp_path, killed):
    import torch

    if torch.cuda.device_count() < 2:
        pytest.skip("gpu: needs two of them")
    root = init(tmp_path / "run")
    port = ["--master-port", str(free_port())]
    command = [*TORCHRUN, *port, "--max-restarts", "2", *worker(root, "cuda")]
    environment = {**os.environ, "KILL": killed, "MARKER": str(tmp_path / "marker")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [m.status for m in read_run(root)[1].members] == ["finished"] * 2
