"""Taking a worker id: at once, after its former process is known dead, or not at all."""

import logging

from fspop.controller.liveness import Liveness
from fspop.controller.workforce import Workforce
from fspop.errors import DuplicateWorker
from fspop.worker.signals import StopRequest

log = logging.getLogger("fspop.worker")

LOOK_INTERVAL_S = 0.25


def join(workforce: Workforce, liveness: Liveness, stop: StopRequest) -> bool:
    """Joins the run; False if asked to stop meanwhile.

    An id whose former process is proven dead is taken at once. Otherwise its heartbeat is watched:
    once it advances, DuplicateWorker is raised; while it stands still, the lease is waited out.
    """
    said = False
    while not stop.is_set:
        try:
            workforce.join()
            return True
        except DuplicateWorker as error:
            process = error.attributes["process"]
            if process.incarnation in liveness.advancing:
                raise
            if not said:
                log.info(
                    "worker %s was process %d on %s; waiting for a sign that it lives or is gone",
                    process.worker,
                    process.pid,
                    process.host,
                )
                said = True
        liveness.observe(workforce.state)
        stop.wait(min(LOOK_INTERVAL_S, liveness.interval_s))
    return False
