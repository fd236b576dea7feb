"""The heartbeat files: what workers write about themselves, and reading all of them."""

import msgspec

from fspop.paths import RunPaths
from fspop.storage.atomic import list_names, read


class Heartbeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker writes about itself, for observers and for status.

    `counter` moves while the process lives, `progress` while its loop does. `interval_s` is the
    time between two beats; the rest is for readers.
    """

    worker: str
    incarnation: str
    counter: int
    progress: int
    interval_s: float
    host: str = ""
    pid: int = 0
    time: float = 0.0
    device: str = ""
    member: int | None = None
    generation: str = ""
    step: int = 0
    steps_per_s: float = 0.0
    doing: str = ""


def read_heartbeats(paths: RunPaths) -> dict[str, Heartbeat]:
    """The heartbeats by incarnation; unreadable ones are left out."""
    decoder = msgspec.json.Decoder(Heartbeat)
    beats = {}
    for name in list_names(paths.workers):
        owner = paths.heartbeat_owner(name)
        if owner is None or name.startswith("."):
            continue
        try:
            beats[owner[1]] = decoder.decode(read(paths.workers / name))
        except (OSError, msgspec.MsgspecError):
            continue
    return beats
