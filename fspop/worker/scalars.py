"""Charts: what each acknowledged report says, as TensorBoard events below the run's logs/."""

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from fspop.controller.assignment import Assignment
from fspop.paths import RunPaths
from fspop.records import Reported, parse_generation_id

log = logging.getLogger("fspop.worker")


class Charts:
    """Writes a member's scalars where `on`; the records stay the truth, so a failure is only said.

    The x axis counts the steps a member trained over all its generations. Steps themselves jump
    back when a member copies a checkpoint; these never do, and a resumed worker goes on where the
    last acknowledged report stood.
    """

    def __init__(self, paths: RunPaths, on: bool, incarnation: str):
        self._paths = paths
        self._on = on
        self._suffix = f".{incarnation}"
        self._failing = False
        self._writers: dict[int, Any] = {}

    def write(
        self, held: Assignment, report: Reported, more: Mapping[str, Any] | None = None
    ) -> None:
        """The scalars of one report: value, metrics, numeric hparams, generation, and `more`."""
        if not self._on:
            return
        try:
            writer = self._writer(held.member)
            x = held.steps_before + report.step
            for name, number in _scalars(held, report, more or {}):
                writer.write_event(_event(name, number, x))
            writer.flush()
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("no charts for now: %s", error)
            self._failing = True
            self._writers.pop(held.member, None)

    def close(self) -> None:
        """Ends the event files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, member: int) -> Any:
        if member not in self._writers:
            # Imports torch, so only where charts are wanted. The library's SummaryWriter queues and
            # its flush() does not wait for the queue; the class below it writes at once.
            from tensorboardX.event_file_writer import EventsWriter

            folder = self._paths.member_log(member)
            folder.mkdir(exist_ok=True)
            self._writers[member] = EventsWriter(str(folder / "events"), self._suffix)
        return self._writers[member]


def _event(name: str, number: float, x: int) -> Any:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import scalar

    return Event(wall_time=time.time(), step=x, summary=scalar(name, number))


def _scalars(
    held: Assignment, report: Reported, more: Mapping[str, Any]
) -> Iterator[tuple[str, float]]:
    parsed = parse_generation_id(report.generation)
    assert parsed is not None
    if report.value is not None:
        yield "value", report.value
    yield "generation", parsed[1]
    yield "step", report.step
    yield from _numbers("eval", report.metrics)
    yield from _numbers("hparams", held.hparams)
    yield from _numbers("", more)


def _numbers(prefix: str, tree: Any) -> Iterator[tuple[str, float]]:
    """The finite numbers of nested data by slash-joined name."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(f"{prefix}/{key}" if prefix else str(key), value)
    elif isinstance(tree, int | float):
        with contextlib.suppress(OverflowError):  # an integer beyond any float
            if math.isfinite(tree):
                yield prefix or "value", float(tree)
