"""The processes that train one member together: how they agree, and learn that one of them failed.

A worker by itself is `ALONE`: every call below is then the plain call, and torch.distributed is
never imported.
"""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from fspop.errors import FspopError, RankLost, TaskRaised

T = TypeVar("T")

GRACE_S = 20.0
"""How long a rank that failed waits for the others, which may be stuck in a collective call with
it."""
_FAILED = "fspop/failed"
_SOURCE = re.compile(r"\[?/\S+:\d+\]? ")
"""Where in gloo's or nccl's own code an error arose."""


class Stop(Protocol):
    """A request to stop, which any rank may have got."""

    is_set: bool
    reason: str

    def request(self, reason: str) -> None:
        """Asks to stop."""


class _Said(NamedTuple):
    """What one rank tells the others after a call."""

    value: Any = None
    error: FspopError | None = None
    stop: str = ""


class Ranks:
    """This process among those of its worker; rank 0 leads.

    `each` and `share` are called by all ranks in the same order, from one thread a `group` (None
    for a process by itself). What they pass on is pickled by torch between processes of one
    torchrun; nothing of it is ever read from a file. `is_broken` says that the ranks are no longer
    in step, after which the process can only end.
    """

    def __init__(
        self,
        rank: int = 0,
        world_size: int = 1,
        local_rank: int = 0,
        *,
        group: Any = None,
        store: Any = None,
    ):
        self.rank, self.world_size, self.local_rank = rank, world_size, local_rank
        self.stop: Stop | None = None
        self.is_broken = False
        self.group, self._store = group, store

    def __len__(self) -> int:
        return self.world_size

    def channel(self) -> "Ranks":
        """The same ranks for another thread, which may then agree while this one does."""
        if self.world_size == 1:
            return self
        return Ranks(
            self.rank, self.world_size, self.local_rank, group=new_group(), store=self._store
        )

    def each(self, call: Callable[[], T]) -> list[T]:
        """Every rank calls; all get what each returned, by rank.

        An FspopError of any rank is raised on all of them: one's own, else that of the lowest rank.
        Raises RankLost where a rank is gone.
        """
        if self.world_size == 1:
            return [call()]
        value, error = None, None
        try:
            value = call()
        except FspopError as raised:
            error = raised
        said = self._exchange(value, error)
        if error is not None:
            raise error
        for rank, other in enumerate(said):
            if other.error is not None:
                raise _told(rank, other.error)
        return [other.value for other in said]

    def together(self, call: Callable[[], T]) -> T:
        """Every rank calls and gets what its own call returned; errors as in `each`."""
        kept: list[T] = []
        self.each(lambda: kept.append(call()))
        return kept[0]

    def share(self, call: Callable[[], T]) -> T:
        """Rank 0 calls; all get what it returned, or raise the FspopError that it raised."""
        return self.each(lambda: call() if self.rank == 0 else None)[0]  # type: ignore[return-value]

    def tell(self, *order: Any) -> None:
        """Rank 0 says what all do next; does nothing on the others, who `hear`."""
        if self.world_size > 1 and self.rank == 0:
            self._broadcast(order)

    def hear(self) -> tuple[Any, ...]:
        """The next order of rank 0, however long it takes."""
        return self._broadcast(())

    def _broadcast(self, order: tuple[Any, ...]) -> tuple[Any, ...]:
        import torch.distributed as dist

        box = [order]
        try:
            dist.broadcast_object_list(box, src=0, group=self.group)
        except RuntimeError as error:
            raise self.lost(error) from error
        return box[0]

    def _exchange(self, value: Any, error: FspopError | None) -> list[_Said]:
        reason = self.stop.reason if self.stop is not None and self.stop.is_set else ""
        mine = _Said(value, error, reason)
        try:
            said = self._gather(mine) if error is None else self._gather_in_time(mine)
        except RuntimeError as failed:
            lost = self.lost(failed)
            told = isinstance(lost, TaskRaised)  # then this rank's own trouble is no cause
            raise lost from (None if told else error or failed)
        for rank, other in enumerate(said):
            if self.stop is not None and other.stop and not self.stop.is_set:
                self.stop.request(f"{other.stop} at rank {rank}")
        return said

    def _gather(self, mine: _Said) -> list[_Said]:
        import torch.distributed as dist

        said: list[Any] = [None] * self.world_size
        dist.all_gather_object(said, mine, group=self.group)
        return said

    def _gather_in_time(self, mine: _Said) -> list[_Said]:
        """As `_gather`, of a rank that failed; where the others do not come it says so and ends."""
        assert mine.error is not None
        said: list[_Said] = []
        failed: list[RuntimeError] = []

        def gather() -> None:
            try:
                said.extend(self._gather(mine))
            except RuntimeError as error:
                failed.append(error)

        thread = threading.Thread(target=gather, name="ranks", daemon=True)
        thread.start()
        thread.join(GRACE_S)
        if failed:
            raise failed[0]
        if not said:  # they wait for this rank inside the task
            self.is_broken = True
            self._leave_word(mine.error)
            raise self._word() or mine.error
        return said

    # -- what a rank that fails leaves for rank 0, who may only see that it is gone
    def _leave_word(self, error: FspopError) -> None:
        if self._store is not None and self.rank > 0:
            self._store.set(_FAILED, str(_told(self.rank, error)))

    def _word(self) -> FspopError | None:
        """What another rank left when it failed, for the first one."""
        try:
            if self.rank == 0 and self._store is not None and self._store.check([_FAILED]):
                return TaskRaised(self._store.get(_FAILED).decode())
        except RuntimeError:
            pass  # the store is gone as well
        return None

    def lost(self, cause: RuntimeError) -> FspopError:
        """What to raise where a collective call failed with `cause`."""
        self.is_broken = True
        if word := self._word():
            return word
        why = _SOURCE.sub("", (str(cause).splitlines() or [""])[0]).partition(". ")[0]
        return RankLost(
            f"rank {self.rank} of {self.world_size}: another rank of this worker is gone ({why}); "
            "training goes on from the last checkpoint once all are started again",
            rank=self.rank,
        )


def _told(rank: int, error: FspopError) -> FspopError:
    """An error of another rank, with that rank in front."""
    return type(error)(f"rank {rank}: {error.message}", **error.attributes)


def new_group() -> Any:
    """A group of all ranks for plain data: on the CPU, and patient, for rank 0 may have to wait."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=timedelta(days=365))


ALONE = Ranks()
"""A worker that is one process."""
