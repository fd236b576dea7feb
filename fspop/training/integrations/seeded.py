"""A DataLoader whose batches are functions of (seed, epoch, place), whenever they are fetched."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from fspop.seeds import derive_seed
from fspop.training.random_stream import RandomStream


class SeededLoader(DataLoader[Any]):
    """Batches of a map-style dataset, for loops that fetch ahead and skip by the batch sampler.

    What the dataset draws for a batch comes from (seed, epoch, place) as well, in this process and
    in workers, so that it does not matter when a batch is fetched. `set_epoch` chooses the epoch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        collate_fn: Callable[[list[Any]], Any],
        *,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        **settings: Any,
    ):
        self.order = _Order(len(dataset), batch_size, seed, shuffle, drop_last)
        super().__init__(
            _Seeded(dataset, collate_fn),
            batch_sampler=self.order,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # else it draws from the global one
            **settings,
        )

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration goes through."""
        self.order.set_epoch(epoch)


class _Order:
    """A batch sampler: index lists, each with the seed of its batch in front."""

    def __init__(self, n: int, batch_size: int, seed: int, shuffle: bool, drop_last: bool):
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.shuffle, self.drop_last, self.epoch = shuffle, drop_last, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n // self.batch_size if self.drop_last else -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # Bound now: the epoch may move on while workers still ask for batches ahead.
        seed, epoch, size = self.seed, self.epoch, self.batch_size
        order = torch.arange(self.n)
        if self.shuffle:
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            order = torch.randperm(self.n, generator=generator)
        for number in range(len(self)):
            chosen = order[number * size : (number + 1) * size].tolist()
            yield [derive_seed(seed, "batch", epoch, number), *chosen]


class _Seeded(Dataset[Any]):
    """Loads a whole batch on random numbers of its own."""

    def __init__(self, dataset: Any, collate: Callable[[list[Any]], Any]):
        self.dataset, self.collate = dataset, collate

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, seeded: list[int]) -> Any:
        seed, *indices = seeded
        many = getattr(self.dataset, "__getitems__", None)
        with RandomStream(seed):
            return self.collate(many(indices) if many else [self.dataset[i] for i in indices])


def _as_it_is(batch: Any) -> Any:
    return batch
