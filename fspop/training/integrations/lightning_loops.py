"""The few inner parts of Lightning's loops that resuming between any two batches needs."""

import copy
import importlib
import logging
from typing import Any


def classes_of(module: Any) -> tuple[Any, Any]:
    """(Trainer, CheckpointIO) of the package this LightningModule is of: `lightning.pytorch` and
    `pytorch_lightning` are the same code twice, and do not accept each other's classes.
    """
    for base in type(module).__mro__:
        if base.__name__ == "LightningModule":
            package = base.__module__.rpartition(".core.")[0]
            plugins = importlib.import_module(f"{package}.plugins.io")
            return importlib.import_module(package).Trainer, plugins.CheckpointIO
    raise TypeError(f"build: got {type(module).__name__}, but it must be a LightningModule")


def hush(trainer_class: Any) -> None:
    """Leaves out what Lightning would say about the machine for each member anew; warnings stay."""
    package = trainer_class.__module__.rpartition(".trainer.")[0]
    log = logging.getLogger(f"{package}.utilities.rank_zero")
    if log.level == logging.NOTSET:
        log.setLevel(logging.WARNING)


def memory_io(io_class: Any) -> Any:
    """A CheckpointIO that keeps the one checkpoint it was given as `held`."""

    class Memory(io_class):  # type: ignore[misc]
        held: dict[str, Any]

        def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
            self.held = checkpoint

        def load_checkpoint(self, path: Any, map_location: Any = None, **options: Any) -> Any:
            held, self.held = self.held, {}
            return held

        def remove_checkpoint(self, path: Any) -> None:
            pass

    memory = Memory()
    memory.held = {}
    return memory


def go_to_epoch(trainer: Any, states: dict[str, Any]) -> None:
    """Before fit(): to the beginning of the epoch that `states` (of all loops) lie in.

    Hooks at the start then see this epoch's number, and the number of steps. Lightning's own way of
    restarting is not used: it guesses from the counters where the checkpoint may have been taken,
    and does not know of one between two batches.
    """
    _load(trainer.fit_loop, states["fit_loop"])
    progress = trainer.fit_loop.epoch_progress
    for counted in (progress.current, progress.total):
        counted.ready = counted.started = counted.processed  # beginning it counts it again


def go_to_batch(trainer: Any, states: dict[str, Any], batch: int) -> None:
    """While the first batch is asked for: as if `batch` of this epoch had come before it."""
    loop = trainer.fit_loop
    _load(loop, states["fit_loop"])
    current = loop.epoch_loop.batch_progress.current
    current.ready = current.started = current.processed = current.completed = batch
    loop._data_fetcher.fetched = batch


def _load(fit_loop: Any, state: dict[str, Any]) -> None:
    fit_loop.load_state_dict(state)
    fit_loop._restarting = False  # its setter has a mind of its own where there are max_steps
    fit_loop.epoch_loop.restarting = False


def validate(trainer: Any) -> dict[str, float]:
    """Validates between two training batches, as Lightning itself does in the middle of an epoch;
    the metrics that were logged, {} where there is no validation.
    """
    if not trainer.enable_validation:
        return {}
    connector, loop = trainer._logger_connector, trainer.fit_loop.epoch_loop.val_loop
    first, counted = connector._first_loop_iter, copy.deepcopy(loop.state_dict())
    trainer.validating = True
    try:
        logged = loop.run()
    finally:
        trainer.training = True
        connector._first_loop_iter = first
        loop.load_state_dict(counted)  # how often somebody looked is no part of training
        loop.restarting = False
    return {name: float(value) for each in logged for name, value in each.items()}
