"""Batches in an order that seed and epoch alone decide, from any place in the epoch on."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple, Protocol

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
    get_worker_info,
)

from fspop.errors import InvalidSetting
from fspop.seeds import derive_seed
from fspop.training.random_state import seed_all
from fspop.training.random_stream import RandomStream

Collate = Callable[[list[Any]], Any]


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
        return self.collate(many(wanted) if many else [self.dataset[i] for i in wanted])

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, seeded: list[int]) -> Any:
        if get_worker_info() is not None:
            seed_all(seeded[0])
        return self.at(torch.tensor(seeded[1:]))


def _as_it_is(batch: Any) -> Any:
    return batch


class ReplayedLoader:
    """Any iterable of batches; places are batches, and going back to one means replaying to it.

    While it works it has random numbers of its own, from (seed, epoch), so it gives the same
    batches again if they depend on those alone. Its samplers are told the epoch where they ask.
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
        """Has nothing to let go."""

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of `epoch`, the first `start` thrown away."""
        seed = derive_seed(self.seed, "order", epoch)
        stream = RandomStream(seed)
        with stream:
            self._prepare(seed, epoch)
            iterator = iter(self.loader)
        for number in itertools.count():
            with stream:
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            if number >= start:
                yield batch

    def _prepare(self, seed: int, epoch: int) -> None:
        for generator in generators_of(self.loader):
            generator.manual_seed(seed)
        for sampler in samplers_of(self.loader):
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)


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


def _check_dataset(dataset: Any, what: str) -> None:
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        name = what.partition("_")[0]
        raise InvalidSetting(
            f"Trainer.{what}: got {type(dataset).__name__}, but a dataset has a length and items; "
            f"a ready loader goes to {name}_loader"
        )
