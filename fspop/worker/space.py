"""Patience with a full disk: it ends no worker."""

import logging
from collections.abc import Callable
from typing import TypeVar

from fspop.errors import DiskFull
from fspop.worker.signals import StopRequest
from fspop.worker.signs import Signs

log = logging.getLogger("fspop.worker")
T = TypeVar("T")

PAUSE_S = 5.0


def with_space(call: Callable[[], T], signs: Signs, stop: StopRequest) -> T:
    """Calls again for as long as the disk is full, unless asked to stop; then raises DiskFull."""
    while True:
        try:
            return call()
        except DiskFull as error:
            if stop.is_set:
                raise
            log.error("%s; trying again in %.0f s", error, PAUSE_S)
            signs.show("disk full")
            stop.wait(PAUSE_S)
