"""Batches of any iterable that can be gone through again, from any batch on."""

import itertools
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import torch
from torch.utils.data import DataLoader

from fspop.errors import InvalidSetting
from fspop.seeds import derive_seed
from fspop.training.random_stream import RandomStream


class ReplayedLoader:
    """Any iterable of batches; places are batches, and going back to one means replaying to it.

    While it works it has random numbers of its own, from (seed, epoch), so it gives the same
    batches again if they depend on those alone, whoever else draws or goes through it meanwhile.
    Its samplers are told the epoch where they ask. Its worker processes are new ones each time,
    even those of `persistent_workers`, which would still have the data and the random numbers of
    before.
    """

    def __init__(self, loader: Iterable[Any], seed: int = 0, what: str = "loader"):
        if not isinstance(loader, Iterable):
            raise InvalidSetting(f"Trainer.{what}: got {loader!r}, but it must be an iterable")
        self.loader, self.seed = loader, seed

    def __len__(self) -> int:
        """Batches in an epoch; TypeError where the iterable does not know."""
        if not isinstance(self.loader, Sized):
            raise TypeError(f"{type(self.loader).__name__} has no length")
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return self.batches(0, 0)

    def after(self, place: int) -> int:
        """The next batch."""
        return place + 1

    def ends_at(self, place: int) -> bool | None:
        """None: only trying can tell."""
        return None

    def release(self) -> None:
        """Lets the worker processes go that a DataLoader keeps."""
        if isinstance(self.loader, DataLoader):
            self.loader._iterator = None

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of `epoch`, the first `start` thrown away."""
        self.release()
        seed = derive_seed(self.seed, "order", epoch)
        stream = RandomStream(seed, generators_of(self.loader))
        with stream:
            self._tell(epoch)
            iterator = iter(self.loader)
        for number in itertools.count():
            with stream:
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            if number >= start:
                yield batch

    def _tell(self, epoch: int) -> None:
        for sampler in samplers_of(self.loader):
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)


def samplers_of(loader: Any) -> list[Any]:
    """The samplers of a DataLoader, the one inside its batch sampler too."""
    samplers = [getattr(loader, name, None) for name in ("sampler", "batch_sampler")]
    samplers += [getattr(sampler, "sampler", None) for sampler in samplers]
    return list({id(each): each for each in samplers if each is not None}.values())


def generators_of(loader: Any) -> list[torch.Generator]:
    """The torch generators that a DataLoader and its samplers draw from, besides the global one."""
    found = [getattr(each, "generator", None) for each in (loader, *samplers_of(loader))]
    distinct = {id(each): each for each in found if isinstance(each, torch.Generator)}
    return list(distinct.values())
