"""Where a generation came from: its ancestors, read from the history."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from fspop.errors import Damaged, InvalidId
from fspop.records import Born, Point, Record, generation_id


class Ancestor(Struct, frozen=True):
    """A generation on the way to a root.

    It began at `step` with `hparams`, from its parent's checkpoint at that step (`parent` None: a
    first one). `reason` is the mutator's; `time` seconds since 1970.
    """

    generation: str
    member: int
    step: int
    hparams: Any
    parent: str | None
    reason: str
    time: float


def lineage(records: Iterable[Record], generation: str) -> list[Ancestor]:
    """The generation itself, its parent, and so on to the root.

    Reads all records. Raises InvalidId for a generation nobody issued, Damaged for a parent that
    does not exist or was born later.
    """
    births = _births(records)
    if generation not in births:
        raise InvalidId(f"generation: got {generation!r}, which this run has never issued")
    line = [births[generation]]
    while (parent := line[-1].parent) is not None:
        if parent not in births or len(line) > len(births):
            raise Damaged(f"{line[-1].generation}: its parent {parent!r} does not lead to a root")
        line.append(births[parent])
    return line


def _births(records: Iterable[Record]) -> dict[str, Ancestor]:
    found = {}
    for record in records:
        for op in record.ops:
            if isinstance(op, Born):
                ancestor = _ancestor(op, record.time)
                found[ancestor.generation] = ancestor
    return found


def _ancestor(op: Born, time: float) -> Ancestor:
    origin: Point | None = op.origin.point if op.origin else None
    return Ancestor(
        generation=generation_id(op.member, op.index),
        member=op.member,
        step=origin.step if origin else 0,
        hparams=op.hparams,
        parent=origin.generation if origin else None,
        reason=op.reason,
        time=time,
    )
