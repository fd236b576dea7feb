"""What training takes its batches from, whatever the user gave for it."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from fspop.errors import InvalidSetting
from fspop.training.dataset_loader import WHOLE, DatasetLoader
from fspop.training.replayed_loader import ReplayedLoader, samplers_of


class Loader(Protocol):
    """Batches that can be had from any place in an epoch; places count in the loader's own unit."""

    seed: int

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of `epoch` from place `start` on."""
        ...

    def after(self, place: int) -> int:
        """The place after the batch at `place`."""
        ...

    def ends_at(self, place: int) -> bool | None:
        """Whether no batch is left at `place`; None where only trying can tell."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The batches of an epoch that is always the same one, for measuring."""
        ...

    def release(self) -> None:
        """Lets worker processes go; the next batches come from new ones, with the data of then."""


class NoLoader:
    """Where there is no training data: asking for a batch says so."""

    seed = 0

    def __iter__(self) -> Iterator[Any]:
        return self.batches(0, 0)

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """Raises InvalidSetting."""
        raise InvalidSetting(
            "Trainer.train_dataset: got None; give train_dataset or train_loader, or override "
            "train_epoch"
        )

    def after(self, place: int) -> int:
        """The next place."""
        return place + 1

    def ends_at(self, place: int) -> bool | None:
        """None: unknown."""
        return None

    def release(self) -> None:
        """Has nothing to let go."""


def make_loader(source: Any, split: str, options: Mapping[str, Any]) -> Loader:
    """A Loader of a dataset or of a ready loader; `options` are those of DatasetLoader.

    A plain DataLoader over a map-style dataset is rebuilt with its own settings, so that its place
    and batch size can be set; any other one is replayed.
    """
    seed = options["seed"]
    if isinstance(source, ReplayedLoader):
        source.seed = seed
        return source
    if isinstance(source, IterableDataset):
        names = ("batch_size", "drop_last", "num_workers", "collate_fn")
        ready = DataLoader(
            source, generator=torch.Generator(), **{name: options[name] for name in names}
        )
        return ReplayedLoader(ready, seed)
    if isinstance(source, DataLoader):
        settings = _rebuildable(source)
        if settings is None:
            return ReplayedLoader(source, seed)
        settings["share"] = options.get("share", WHOLE)
        return DatasetLoader(source.dataset, what=f"{split}_loader", seed=seed, **settings)
    return DatasetLoader(source, what=f"{split}_dataset", **options)


def ready_loader(loader: Any, what: str) -> Any:
    """A given loader as `make_loader` takes it: any iterable of batches."""
    return loader if isinstance(loader, DataLoader) else ReplayedLoader(loader, what=what)


def check_shared_out(loader: Loader, world_size: int) -> None:
    """Raises InvalidSetting where each of several ranks would train on the same batches."""
    if world_size == 1 or not isinstance(loader, ReplayedLoader):
        return
    samplers = samplers_of(loader.loader)
    if not any(getattr(each, "num_replicas", None) == world_size for each in samplers):
        raise InvalidSetting(
            f"Trainer.train_loader: {world_size} ranks would all train on the same batches of it; "
            "give train_dataset, or a DataLoader with a DistributedSampler"
        )


def _rebuildable(loader: "DataLoader[Any]") -> dict[str, Any] | None:
    sampler, batches = loader.sampler, loader.batch_sampler
    shuffled = type(sampler) is RandomSampler and not sampler.replacement
    if shuffled and len(sampler) != len(loader.dataset):  # type: ignore[arg-type]
        return None
    usual = shuffled or type(sampler) is SequentialSampler
    if type(loader) is not DataLoader or type(batches) is not BatchSampler or not usual:
        return None
    if loader.worker_init_fn is not None or isinstance(loader.dataset, IterableDataset):
        return None
    workers = ("timeout", "prefetch_factor", "multiprocessing_context", "pin_memory")
    return {
        "batch_size": batches.batch_size,
        "shuffle": shuffled,
        "drop_last": batches.drop_last,
        "num_workers": loader.num_workers,
        "collate_fn": None if loader.collate_fn is default_collate else loader.collate_fn,
        **({name: getattr(loader, name) for name in workers} if loader.num_workers else {}),
    }
