"""Signs of life: written by a thread, read by others."""

import time

from fspop.controller.liveness import Liveness, read_heartbeats
from fspop.paths import RunPaths
from fspop.worker.heartbeat import Pulse
from tests.worker.tasks import make_run, make_workforce


def start_pulse(root, lease_s=0.4):
    experiment, _ = make_run(root)
    workforce = make_workforce(root, experiment)
    liveness = Liveness(RunPaths(root), lease_s, 900.0)
    pulse = Pulse(RunPaths(root), workforce.process, liveness, lambda: workforce.state, lease_s)
    pulse.start()
    return workforce, pulse


def test_the_counter_moves_by_itself_and_progress_only_when_told(tmp_path):
    workforce, pulse = start_pulse(tmp_path)
    me = workforce.process.incarnation
    before = read_heartbeats(RunPaths(tmp_path))[me]
    time.sleep(0.3)
    middle = read_heartbeats(RunPaths(tmp_path))[me]
    assert middle.counter > before.counter and middle.progress == before.progress
    pulse.beat(member=1, step=30, doing="training")
    time.sleep(0.3)
    after = read_heartbeats(RunPaths(tmp_path))[me]
    assert (after.member, after.step, after.doing) == (1, 30, "training")
    assert after.progress == middle.progress + 1
    pulse.stop()


def test_a_worker_that_ends_takes_its_heartbeat_away(tmp_path):
    workforce, pulse = start_pulse(tmp_path)
    (RunPaths(tmp_path).workers / "0.00000000.json").write_text("{}")
    (RunPaths(tmp_path).workers / "7.00000000.json").write_text("{}")
    pulse.remove_former("0")
    pulse.stop()
    assert [p.name for p in RunPaths(tmp_path).workers.iterdir()] == ["7.00000000.json"]
    assert workforce.process.worker == "0"
