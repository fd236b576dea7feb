"""A LightningModule as a Task: Lightning's own fit(), in turns with the worker."""

import copy
import functools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fspop.errors import InvalidSetting, TaskError
from fspop.training.feed import Feed
from fspop.training.hparam_places import Place, attributes
from fspop.training.integrations import lightning_loops as loops
from fspop.training.integrations.borrowed import BorrowedLoop
from fspop.training.integrations.missing import require
from fspop.training.loaders import make_loader, ready_loader
from fspop.training.plain_state import plain
from fspop.training.task import Context

_QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "check_val_every_n_epoch": sys.maxsize,  # `evaluate` validates, whenever a report is due
    "min_steps": sys.maxsize,  # so that EarlyStopping stops nobody: the mutator does
}
_HPARAMS = "hyper_parameters"


class LightningTask(BorrowedLoop):
    """Trains what `build` returns with Lightning's Trainer; a step is a training batch.

    `trainer_options` are given to that Trainer over defaults that write and print nothing. It fits
    for as long as it is wanted; the module's validation loop is the evaluation, and what it logs
    are the metrics. Checkpoints are Lightning's own in content, so hooks and stateful callbacks see
    what they are used to. The training data has an order of this member's own.

    Hyperparameters take effect in the optimizers, in dropout layers, in `batch_size`, in
    `module.hparams` and in attributes of the module or data module of that name.
    """

    trainer_options: Mapping[str, Any] = {}

    # -- what a subclass defines
    def build(self, context: Context) -> tuple[Any, Any]:
        """A fresh LightningModule, and its data: a LightningDataModule, a train and a validation
        loader as a pair, or None where the module has its loaders.
        """
        raise TypeError(f"{type(self).__name__} does not define build(context)")

    # -- how it runs
    def setup(self, context: Context) -> None:
        """As in BorrowedLoop. ConfigurationError where Lightning is not installed."""
        if not any(map(sys.modules.get, ("lightning", "pytorch_lightning"))):
            require("pytorch_lightning", "lightning", type(self).__name__)
        super().setup(context)
        self._feed: Feed | None = None

    def run_loop(self) -> None:
        """Builds everything and fits."""
        self.module, data = self.build(self.context)
        self._data_module = data if hasattr(data, "prepare_data") else None
        trainer_class, io_class = loops.classes_of(self.module)
        loops.hush(trainer_class)
        self.trainer = trainer_class(**self._options())
        self.trainer.strategy.checkpoint_io = self._memory = loops.memory_io(io_class)
        arguments = self._arguments(data)
        if self.loading is not None:
            loops.go_to_epoch(self.trainer, self.loading["loops"])
            self._memory.held = self._checkpoint(self.loading)
            arguments["ckpt_path"] = "fspop"
        self.trainer.fit(self.module, **arguments)

    def _options(self) -> dict[str, Any]:
        gpu = self.context.device.startswith("cuda")
        index = int(self.context.device.partition(":")[2] or 0)
        where = {"accelerator": "gpu" if gpu else "cpu", "devices": [index] if gpu else 1}
        given = dict(self.trainer_options)
        if self.context.total_steps and given.get("accumulate_grad_batches", 1) == 1:
            where["max_steps"] = self.context.total_steps  # schedules may ask how long it will be
        return {**_QUIET, "max_epochs": -1, **where, **given}

    def _arguments(self, data: Any) -> dict[str, Any]:
        if isinstance(data, tuple | list):
            train, val = data
            return {"train_dataloaders": self._batches(train), "val_dataloaders": val}
        owner = self.module if data is None else data
        if self._data_module is None and data is not None:
            raise TaskError(
                f"{type(self).__name__}.build: got {type(data).__name__} as data; return a "
                "LightningDataModule, a pair of a train and a validation loader, or None"
            )
        made = owner.train_dataloader

        @functools.wraps(made)
        def train_dataloader() -> Any:
            return self._batches(made())

        owner.train_dataloader = train_dataloader
        return {"datamodule": self._data_module}

    def _batches(self, loader: Any) -> "_Batches":
        if isinstance(loader, dict | list | tuple):
            raise TaskError(
                f"{type(self).__name__}: several training loaders at once cannot be resumed in the "
                "middle of an epoch; combine the data sets, or write the loop as a loop_task"
            )
        source = ready_loader(loader, "train_dataloader")
        batches = make_loader(source, "train", {"seed": self.context.seed})
        if "batch_size" in self.hparams:
            for place in attributes([batches], "batch_size"):
                place.set(self.hparams["batch_size"])
        before, self._feed = self._feed, Feed(batches)
        if before is not None:  # reload_dataloaders_every_n_epochs
            self._feed.load(before.state())
        return _Batches(self._feed, self._before_step)

    def _before_step(self) -> None:
        if self.loading is not None:
            self._take_place(self.loading)
            self.loading = None
        self.trainer.fit_loop.epoch_loop.max_steps = -1  # the schedules know it by now
        self.trainer.should_stop = False
        self.turns.next_step()

    def _take_place(self, state: dict[str, Any]) -> None:
        assert self._feed is not None
        self._feed.load(state["feed"])
        left = getattr(self._feed.loader, "left", None)
        taken = state["feed"]["batch"]
        if left is not None:  # with another batch size, the epoch has another number of batches
            taken = left(0) - left(state["feed"]["place"])
            if left(state["feed"]["place"]) == 0:
                taken = 0
                self._feed.load({**state["feed"], "place": 0, "batch": 0})
        loops.go_to_batch(self.trainer, state["loops"], taken)

    # -- what is asked between two steps
    def measure(self) -> dict[str, float]:
        """The metrics that the validation loop logs."""
        metrics = loops.validate(self.trainer)
        if not metrics:
            raise TaskError(
                f"{type(self).__name__}: the validation loop logged no metric; define "
                "validation_step with self.log(name, value), and validation data"
            )
        return metrics

    def scalars(self) -> dict[str, float]:
        """Learning rates, and what the module logged last."""
        logged = self.trainer.callback_metrics.items()
        return {**super().scalars(), **{name: float(each) for name, each in logged}}

    def state(self) -> dict[str, Any]:
        """Lightning's checkpoint, and the place in the data."""
        assert self._feed is not None
        self.trainer.save_checkpoint("fspop", weights_only=False)
        held, self._memory.held = self._memory.held, {}
        held.pop(_HPARAMS, None)  # of any type; the assigned ones are on record
        return {**plain(held), "feed": self._feed.state()}

    def _checkpoint(self, state: dict[str, Any]) -> dict[str, Any]:
        """What Lightning is to restore: all but the loops, which `_take_place` sets."""
        given = {name: each for name, each in state.items() if name not in ("loops", "feed")}
        # An optimizer keeps the very tensors it is given; `state` may be somebody's live state.
        return copy.deepcopy(given)

    # -- hyperparameters
    def models(self) -> list[nn.Module]:
        """The module."""
        return [self.module]

    def optimizers(self) -> list[Optimizer]:
        """All of the module's."""
        return list(self.trainer.optimizers)

    def schedulers(self) -> list[Any]:
        """All of the module's."""
        return [config.scheduler for config in self.trainer.lr_scheduler_configs]

    def owners(self) -> list[Any]:
        """The task, the module and its data module."""
        return [each for each in (self, self.module, self._data_module) if each is not None]

    def places(self, name: str) -> list[Place]:
        """As in BorrowedLoop, `batch_size`, and in any case `module.hparams`."""
        found = super().places(name)
        if name == "batch_size" and self._feed is not None:
            found = attributes([self._feed.loader], name)
        for owner in (self.module, self._data_module):
            hparams = getattr(owner, "hparams", None) or {}
            if name in hparams:
                found.append(_HparamsEntry(hparams, name))
        return found


class _HparamsEntry:
    """An entry of `module.hparams`."""

    def __init__(self, hparams: Any, name: str):
        self.hparams, self.name = hparams, name

    def set(self, value: Any) -> None:
        self.hparams[self.name] = value

    def get(self) -> Any:
        return self.hparams[self.name]


class _Batches:
    """What Lightning is given to train on: batches from the feed's place on, a turn before each."""

    def __init__(self, feed: Feed, before_step: Any):
        self.feed, self.before_step = feed, before_step
        try:
            self.length = len(feed.loader)  # type: ignore[arg-type]
        except TypeError as error:
            raise InvalidSetting(
                "train_dataloader: its length is unknown, so Lightning would fetch ahead and "
                "resuming would not be exact; give the data set (or the iterable) a __len__"
            ) from error

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        if self.feed.batch:  # Lightning asks for the next epoch, whether or not this one is over
            self.feed.next_epoch()
        return self._rest()

    def _rest(self) -> Iterator[Any]:
        while True:
            self.before_step()
            batch = self.feed.fetch()
            if batch is None:
                return
            self.feed.done()
            yield batch
