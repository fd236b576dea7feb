"""Charts read back from their event files: complete, and never running backwards."""

import struct

import pytest

from fspop.controller.assignment import assignment
from fspop.paths import RunPaths
from fspop.records import Reported
from fspop.storage import read_history, read_run
from fspop.worker.scalars import Charts
from tests.worker.test_daemon import EXPERIMENT, finish, fspop, reached, wait_until


def read_events(folder):
    """(tag, x, value) of every scalar in a folder's event files, in the order of the files."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]
            events += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
    return events


@pytest.fixture
def run(tmp_path):
    (tmp_path / "walk.py").write_text(EXPERIMENT.replace("tensorboard=False", "tensorboard=True"))
    root = tmp_path / "run"
    code, _, err = finish(fspop("init", tmp_path / "walk.py", "--dir", root))
    assert code == 0, err
    return root


def test_the_charts_of_a_killed_run_lack_one_point_at_most_and_never_run_backwards(run):
    worker = fspop("worker", "--id", 0, "--dir", run, STEP_S="0.1")
    wait_until(lambda: reached(run, 10))
    wait_until(lambda: list((run / "logs").glob("member-*/*")))
    worker.kill()
    finish(worker)
    assert finish(fspop("worker", "--id", 0, "--dir", run))[0] == 0
    ops = [op for record in read_history(run) for op in record.ops]
    scored = [op for op in ops if isinstance(op, Reported) and op.value is not None]
    events = [read_events(RunPaths(run).member_log(member)) for member in range(3)]
    values = [value for member in events for tag, _, value in member if tag == "value"]
    lost = len(scored) - len(values)  # the kill may fall between a commit and its chart
    assert lost <= 1 and {round(v, 4) for v in values} <= {round(op.value, 4) for op in scored}
    for member in events:
        for wanted in {tag for tag, _, _ in member}:
            xs = [x for tag, x, _ in member if tag == wanted]
            assert xs == sorted(xs), f"{wanted} runs backwards: {xs}"
    tags = {tag for tag, _, _ in events[0]}
    assert {"value", "generation", "step", "eval/score", "hparams/drift", "steps_per_s"} <= tags


def test_charts_that_cannot_be_written_cost_nothing_but_themselves(run, caplog):
    RunPaths(run).member_log(0).write_text("a file where the folder should be")
    charts = Charts(RunPaths(run), on=True, incarnation="0123")
    held = assignment(read_run(run)[1].members[0])
    charts.write(held, Reported(held.generation_id, 5, value=1.0))
    charts.write(held, Reported(held.generation_id, 10, value=1.0))
    assert [r.message.partition(":")[0] for r in caplog.records] == ["no charts for now"]
