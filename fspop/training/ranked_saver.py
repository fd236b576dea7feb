"""Saving in the background with several ranks, each of which has a saver of its own."""

from pathlib import Path
from typing import Any

from fspop.training.ranked import Part, save_ranked, split
from fspop.training.ranks import Ranks
from fspop.training.saver import Saver
from fspop.training.written import SavedCheckpoint


def make_saver(ranks: Ranks) -> Saver:
    """A saver for this process: that of one rank where there are several."""
    return RankedSaver(ranks) if ranks.world_size > 1 else Saver()


class RankedSaver(Saver):
    """A Saver whose every call all ranks make, in the same order.

    The threads of the ranks agree on a channel of their own while the training goes on. What one of
    them raises comes out of the call of every rank.
    """

    def __init__(self, ranks: Ranks):
        super().__init__()
        self._ranks, self._channel = ranks, ranks.channel()

    def begin(self, folder: Path, state: dict[str, Any]) -> None:
        """As for one process; `state` is this rank's."""
        self._land()
        super().begin(folder, split(state, self._ranks)._asdict())

    def _copy(self, state: dict[str, Any]) -> dict[str, Any]:
        local = {number: shard.to_local() for number, shard in state["shards"].items()}
        copied = super()._copy({"state": state["state"], "shards": local})
        if local:
            from fspop.training.sharded import like

            copied["shards"] = {n: like(state["shards"][n], t) for n, t in copied["shards"].items()}
        return copied

    def _save(self, folder: Path, copied: dict[str, Any]) -> SavedCheckpoint:
        return save_ranked(folder, Part(**copied), self._channel)
