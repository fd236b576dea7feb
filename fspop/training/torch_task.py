"""TorchTask: the part of a torch task that is the same for everybody."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fspop.training.task import Context
from fspop.training.tuned import Tuned


class TorchTask(Tuned):
    """A task with one model and one optimizer; a subclass says what they are and what a step is.

    Define `build`, `train_step` and `evaluate`. Hyperparameters named as an entry of the
    optimizer's param groups (learning_rate or lr, momentum, weight_decay, betas, ...), beta1, beta2
    and dropout are set in the optimizer and in the model's dropout layers after every restore, so
    that a parent's never come back with its optimizer; moments are kept. "momentum" is betas[0]
    where the optimizer has betas; "learning_rate.head" is that of the param group with "name":
    "head". Any other name goes to `apply_other`.

    `step` is the number of steps trained so far, `hparams` what was assigned last.
    """

    context: Context
    step: int

    # -- what a subclass defines
    def build(self, context: Context) -> tuple[nn.Module, torch.optim.Optimizer]:
        """A fresh model, on `context.device`, and its optimizer."""
        raise TypeError(f"{type(self).__name__} does not define build(context)")

    def train_step(self, step: int) -> None:
        """Trains one step, the one after `step` steps; the model is in training mode."""
        raise TypeError(f"{type(self).__name__} does not define train_step(step)")

    def evaluate(self) -> float | Mapping[str, float]:
        """As in `Task.evaluate`."""
        raise TypeError(f"{type(self).__name__} does not define evaluate()")

    # -- the verbs a worker calls
    def setup(self, context: Context) -> None:
        """Builds model and optimizer; extend it for data."""
        self.context, self.step = context, context.step
        self.hparams = dict(context.hparams) if isinstance(context.hparams, Mapping) else {}
        self.model, self.optimizer = self.build(context)

    def train(self, n_steps: int) -> None:
        """Trains `n_steps` steps, one `train_step` each."""
        self.model.train()
        for _ in range(n_steps):
            self.train_step(self.step)
            self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Model, optimizer, step and extra state; aliases live tensors."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "extra": self.extra_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over everything, a parent's hyperparameters too; `apply_hparams` comes after it."""
        self.model.load_state_dict(state["model"])
        # An optimizer keeps the very tensors it is given; `state` may be somebody's live state.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = state["step"]
        self.load_extra_state(state["extra"])
