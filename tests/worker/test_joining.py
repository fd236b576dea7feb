"""Taking a worker id: two live processes never share one."""

import threading

import pytest

from fspop.controller.liveness import Liveness, this_process
from fspop.controller.workforce import Workforce
from fspop.errors import DuplicateWorker
from fspop.paths import RunPaths
from fspop.worker.heartbeat import Pulse
from fspop.worker.joining import join
from fspop.worker.signals import StopRequest
from tests.worker.tasks import make_run, make_workforce


def second_worker(root, experiment, lease_s):
    first = make_workforce(root, experiment)
    liveness = Liveness(RunPaths(root), lease_s, 900.0)
    second = Workforce(first.controller, this_process("0"), liveness)
    return first, second, liveness


def test_an_id_whose_heartbeat_advances_is_refused_by_name(tmp_path):
    experiment, _ = make_run(tmp_path)
    first, second, liveness = second_worker(tmp_path, experiment, 2.0)
    pulse = Pulse(RunPaths(tmp_path), first.process, liveness, lambda: first.state, 2.0)
    pulse.start()
    try:
        with pytest.raises(DuplicateWorker) as caught:
            join(second, liveness, StopRequest())
    finally:
        pulse.stop()
    message = str(caught.value)
    assert first.process.host in message and f"process {first.process.pid}" in message
    assert "since 2" in message and "\n" not in message


def test_an_id_whose_heartbeat_stands_still_is_taken_after_the_lease(tmp_path):
    experiment, _ = make_run(tmp_path)
    first, second, liveness = second_worker(tmp_path, experiment, 0.5)
    held = first.claim()
    assert join(second, liveness, StopRequest())
    assert second.state.members[held.member].deaths == 1
    assert second.claim().term == held.term + 1


def test_a_request_to_stop_ends_the_wait(tmp_path):
    experiment, _ = make_run(tmp_path)
    _, second, liveness = second_worker(tmp_path, experiment, 3600.0)
    stop = StopRequest()
    threading.Timer(0.3, stop.request, ["test"]).start()
    assert not join(second, liveness, stop)
