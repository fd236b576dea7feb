"""Where training stands in its data, and the batch that comes next."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fspop.errors import FspopError, InvalidSetting, TaskRaised
from fspop.training.loaders import Loader

END = object()
"""What `fetch` gives after the last batch; None may be a batch."""


class Feed:
    """The place in the data: epoch, place in the loader's unit, batches done in this epoch.

    A batch that was fetched counts only once it is `done`; whoever fails in between gets it again.
    """

    def __init__(self, loader: Loader):
        self.loader = loader
        self.epoch = self.place = self.batch = 0
        self._iterator: Iterator[Any] | None = None
        self._ahead: list[Any] = []

    def fetch(self) -> Any:
        """The next batch; END at the end of the epoch.

        Raises TaskRaised where the data raises, and InvalidSetting for an epoch without a batch.
        """
        if self._ahead:
            return self._ahead.pop()
        if self.loader.ends_at(self.place):
            return END
        if self._iterator is None:
            self._iterator = self._try(lambda: self.loader.batches(self.epoch, self.place))
        iterator = self._iterator
        batch = self._try(lambda: next(iterator, END))
        if batch is END and self.batch == 0:
            self.drop()
            raise InvalidSetting(
                f"Trainer.train_loader: it gave no batch in epoch {self.epoch}; fill it, and give "
                "one that can be gone through again"
            )
        return batch

    def done(self) -> None:
        """The fetched batch was trained on."""
        self.place = self.loader.after(self.place)
        self.batch += 1

    @property
    def at_end(self) -> bool:
        """Whether no batch is left in this epoch; looks one ahead where it must."""
        ends = self.loader.ends_at(self.place)
        if ends is None and not self._ahead and self.batch:
            following = self.fetch()
            self._ahead = [] if following is END else [following]
            return following is END
        return bool(ends)

    def next_epoch(self) -> None:
        """To the start of the next epoch."""
        self._forget()
        self.epoch, self.place, self.batch = self.epoch + 1, 0, 0

    def drop(self) -> None:
        """Forgets what was fetched ahead and lets workers go: the data may have changed."""
        self._forget()
        self.loader.release()

    def go_on_with(self, loader: Loader) -> None:
        """Takes what follows from another loader, which has the same data in the same order."""
        self.drop()
        self.loader = loader

    def state(self) -> dict[str, int]:
        """The place."""
        return {"epoch": self.epoch, "place": self.place, "batch": self.batch}

    def load(self, state: Mapping[str, int]) -> None:
        """Goes to a place that `state` gave."""
        self.drop()
        self.epoch, self.place, self.batch = state["epoch"], state["place"], state["batch"]

    def _forget(self) -> None:
        self._iterator, self._ahead = None, []

    def _try(self, get: Callable[[], Any]) -> Any:
        try:
            return naming(get, f"training data raised in epoch {self.epoch}, batch {self.batch}")
        except BaseException:
            self.drop()
            raise


def naming(get: Callable[[], Any], raised: str) -> Any:
    """What `get` gives; TaskRaised, its message after `raised`, for any error but fspop's own."""
    try:
        return get()
    except FspopError:
        raise
    except Exception as error:
        raise TaskRaised(f"{raised}: {_what(error)}") from error


def read(loader: Loader, what: str) -> Iterator[Any]:
    """All batches to measure with; TaskRaised where the data raises."""
    iterator = naming(lambda: iter(loader), f"{what} data raised")
    for number in itertools.count():
        batch = naming(lambda: next(iterator, END), f"{what} data raised in batch {number}")
        if batch is END:
            return
        yield batch


def _what(error: Exception) -> str:
    name = type(error).__name__
    last = (str(error).strip().splitlines() or [""])[-1]
    return last if last.startswith(name) else f"{name}: {last}"
