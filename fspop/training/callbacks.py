"""Hooks into training: a Callback does nothing until a subclass does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fspop.training.trainer import Trainer


class Callback:
    """Override what you need. What one remembers belongs into `state_dict`, or resuming loses it.

    Measurements are read from `trainer.history`. Who changes training here, changes training.
    """

    def before_fit(self, trainer: Trainer) -> None:
        """fit() begins, perhaps in the middle of the run."""

    def after_fit(self, trainer: Trainer) -> None:
        """fit() ends, also when it raised."""

    def before_epoch(self, trainer: Trainer) -> None:
        """No batch of this epoch was trained on yet."""

    def after_epoch(self, trainer: Trainer) -> None:
        """Validated, schedules told; `trainer.epoch` is the next one, nothing saved yet."""

    def before_step(self, trainer: Trainer, batch: Any) -> None:
        """`batch` is on the device and will be trained on."""

    def after_step(self, trainer: Trainer) -> None:
        """`trainer.iteration` counts the step."""

    def before_validation(self, trainer: Trainer) -> None:
        """The model is in evaluation mode."""

    def after_validation(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """What val_epoch measured."""

    def on_hparams(self, trainer: Trainer) -> None:
        """`trainer.hparams` were applied."""

    def on_save(self, trainer: Trainer, path: Path) -> None:
        """A checkpoint is durable at `path`."""

    def on_load(self, trainer: Trainer) -> None:
        """A state was loaded."""

    def on_stop(self, trainer: Trainer, reason: str) -> None:
        """Training ends before its last epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What to remember, as tensors and plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
