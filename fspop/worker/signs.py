"""Signs of life to both audiences: the other workers, and the service manager."""

import time
from typing import Any

from fspop.worker.heartbeat import Pulse
from fspop.worker.notify import notify, watchdog_interval_s

STATUS_INTERVAL_S = 5.0


class Signs:
    """What the loop calls whenever it gets anywhere. A loop that stops calling it looks stalled."""

    def __init__(self, pulse: Pulse):
        self._pulse = pulse
        self._notified_s = 0.0

    def show(
        self,
        doing: str,
        member: int | None = None,
        generation: str = "",
        step: int = 0,
        steps_per_s: float = 0.0,
    ) -> None:
        """What this worker does now, and with which member."""
        fields: dict[str, Any] = {"member": member, "generation": generation, "step": step}
        self._pulse.beat(doing=doing, steps_per_s=round(steps_per_s, 3), **fields)
        interval_s = min(STATUS_INTERVAL_S, (watchdog_interval_s() or STATUS_INTERVAL_S) / 2)
        if time.monotonic() - self._notified_s >= interval_s:
            self._notified_s = time.monotonic()
            where = f" {generation} at step {step}" if generation else ""
            notify("WATCHDOG=1", f"STATUS={doing}{where}")
