"""Batches of a data set in an order that seed and epoch alone decide, from any sample on."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate, get_worker_info

from fspop.errors import InvalidSetting
from fspop.seeds import derive_seed
from fspop.training.random_state import seed_all

Collate = Callable[[list[Any]], Any]


class Share(NamedTuple):
    """What one rank takes of a batch: every `world_size`-th sample. `even` fills up with samples
    from the front, so that all ranks get equally many.
    """

    rank: int = 0
    world_size: int = 1
    even: bool = False

    def of(self, indices: torch.Tensor) -> torch.Tensor:
        """This rank's part of `indices`; without `even` it may be empty."""
        missing = -len(indices) % self.world_size if self.even else 0
        if missing:
            repeated = torch.arange(len(indices) + missing) % len(indices)
            indices = indices[repeated]
        return indices[self.rank :: self.world_size]


WHOLE = Share()


class DatasetLoader:
    """Batches of a map-style dataset; places are samples, so the batch size may change at any time.

    The order is a function of (seed, epoch). Worker processes draw their random numbers from
    (seed, epoch, place), so that a batch is the same whoever resumes in front of it; without
    workers the dataset draws from the global generators, in turn with the training.

    Places and batch sizes are those of all ranks together; `share` is what this one takes of each
    batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        collate_fn: Collate | None = None,
        what: str = "dataset",
        share: Share = WHOLE,
        **worker_options: Any,
    ):
        _check_dataset(dataset, what)
        self.share = share
        self.dataset, self.seed, self.what = dataset, seed, what
        self.shuffle, self.drop_last, self.num_workers = shuffle, drop_last, num_workers
        self._load = _Items(dataset, collate_fn)
        self._worker_options = worker_options
        self._workers: DataLoader[Any] | None = None
        self._order = _Order(self)
        self.batch_size = batch_size

    @property
    def batch_size(self) -> int:
        """Samples a batch; one under which no batch is left raises InvalidSetting."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidSetting(f"batch_size: got {size!r}, but it must be a whole number above 0")
        n = len(self.dataset)
        if n == 0:
            raise InvalidSetting(f"Trainer.{self.what}: got an empty one; give it data")
        if self.drop_last and n < size:
            raise InvalidSetting(
                f"Trainer.{self.what}: its {n} samples give no batch of batch_size={size} with "
                "drop_last=True; lower batch_size or set drop_last=False"
            )
        self._batch_size = size

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return self.left(0)

    def __iter__(self) -> Iterator[Any]:
        """All batches of epoch 0, by workers of their own."""
        order = _Order(self)
        return self._iterate(self._new_workers(order, persistent=False), order)

    def left(self, place: int) -> int:
        """How many batches follow `place`."""
        samples = max(0, len(self.dataset) - place)
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def after(self, place: int) -> int:
        """The place after the batch at `place`."""
        return min(place + self.batch_size, len(self.dataset))

    def ends_at(self, place: int) -> bool | None:
        """Whether no whole batch is left, or without drop_last none at all."""
        return self.left(place) == 0

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of `epoch` from sample `start` on; call it again only when done with them."""
        self._order.epoch, self._order.start = epoch, start
        if self._workers is None:
            self._workers = self._new_workers(self._order, persistent=True)
        return self._iterate(self._workers, self._order)

    def release(self) -> None:
        """Lets the worker processes go."""
        self._workers = None

    def _iterate(self, workers: "DataLoader[Any] | None", order: "_Order") -> Iterator[Any]:
        return iter(workers) if workers is not None else map(self._load.at, order.indices())

    def _new_workers(self, order: "_Order", persistent: bool) -> "DataLoader[Any] | None":
        if self.num_workers == 0:
            return None
        return DataLoader(
            self._load,
            batch_sampler=order,
            num_workers=self.num_workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # else it draws from the global one
            persistent_workers=persistent,
            **self._worker_options,
        )


class _Order:
    """The index lists of one epoch from `start` on, each with the seed of its batch in front."""

    def __init__(self, loader: DatasetLoader):
        self.loader = loader
        self.epoch = self.start = 0

    def __iter__(self) -> Iterator[list[int]]:
        # Bound now: the fields may move on while workers still ask for batches ahead.
        seed, epoch, place = self.loader.seed, self.epoch, self.start
        share = self.loader.share
        own = [share.rank] if share.rank else []
        for indices in self._batches():
            mine = share.of(indices)
            if len(mine):
                yield [derive_seed(seed, "batch", epoch, place, *own), *mine.tolist()]
            place += len(indices)

    def indices(self) -> Iterator[torch.Tensor]:
        """This rank's part of each batch, but for those of which it has none."""
        return filter(len, map(self.loader.share.of, self._batches()))

    def _batches(self) -> Iterator[torch.Tensor]:
        loader, epoch, start = self.loader, self.epoch, self.start
        order = torch.arange(len(loader.dataset))
        if loader.shuffle:
            generator = torch.Generator().manual_seed(derive_seed(loader.seed, "order", epoch))
            order = torch.randperm(len(loader.dataset), generator=generator)
        for _ in range(loader.left(start)):
            yield order[start : start + loader.batch_size]
            start += loader.batch_size


class _Items(Dataset[Any]):
    """Loads a whole batch at once; picklable, for workers."""

    def __init__(self, dataset: Any, collate_fn: Collate | None):
        self.dataset = dataset
        self.collate = collate_fn or default_collate
        # What indexing tensors gives is what collating their rows would give, only sooner.
        self.tensors = (
            dataset.tensors if type(dataset) is TensorDataset and collate_fn is None else None
        )

    def at(self, indices: torch.Tensor) -> Any:
        if self.tensors is not None:
            return [tensor[indices] for tensor in self.tensors]
        many = getattr(self.dataset, "__getitems__", None)
        wanted = indices.tolist()
        try:
            return self.collate(many(wanted) if many else [self.dataset[i] for i in wanted])
        except StopIteration as error:  # which would pass for the end of the epoch
            raise RuntimeError("StopIteration") from error

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, seeded: list[int]) -> Any:
        if get_worker_info() is not None:
            seed_all(seeded[0])
        return self.at(torch.tensor(seeded[1:]))


def _as_it_is(batch: Any) -> Any:
    return batch


def _check_dataset(dataset: Any, what: str) -> None:
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        name = what.partition("_")[0]
        raise InvalidSetting(
            f"Trainer.{what}: got {type(dataset).__name__}, but a dataset has a length and items; "
            f"a ready loader goes to {name}_loader"
        )
