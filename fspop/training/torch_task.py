"""TorchTask: the part of a torch task that is the same for everybody."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fspop.errors import HparamsNotApplied
from fspop.training.hparam_places import places
from fspop.training.task import Context


class TorchTask:
    """A task with one model and one optimizer; a subclass says what they are and what a step is.

    Define `build`, `train_step` and `evaluate`. Hyperparameters named learning_rate (or lr),
    momentum, beta1, beta2, betas, weight_decay and dropout are set in the optimizer and in the
    model's dropout layers after every restore, so that a parent's never come back with its
    optimizer; moments are kept. "momentum" is betas[0] where the optimizer has betas. Any other
    name goes to `apply_other`.

    `step` is the number of steps trained so far, `hparams` what was assigned last.
    """

    context: Context
    model: nn.Module
    optimizer: torch.optim.Optimizer
    hparams: dict[str, Any]
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

    def apply_other(self, name: str, value: Any) -> None:
        """Takes a hyperparameter that has no place here; `pass` for one that only `build` reads."""
        raise HparamsNotApplied(
            f"hyperparameter {name}={value!r}: {type(self).__name__} has nowhere to put it; "
            f"define apply_other(self, name, value)",
            name=name,
        )

    def extra_state(self) -> dict[str, Any]:
        """What training changes beside model, optimizer and step, as tensors and plain data."""
        return {}

    def load_extra_state(self, extra: dict[str, Any]) -> None:
        """Takes back what `extra_state` gave."""

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

    def apply_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Sets each hyperparameter where it takes effect; HparamsNotApplied if it has no place."""
        if not isinstance(hparams, Mapping):
            raise HparamsNotApplied(
                f"hyperparameters: got {hparams!r}, but TorchTask needs names for them, "
                'as in {"learning_rate": 0.1}; or override apply_hparams'
            )
        self.hparams = dict(hparams)
        for name, value in hparams.items():
            found = places(self.model, self.optimizer, name)
            for place in found:
                place.set(value)
            if not found:
                self.apply_other(name, value)

    def effective_hparams(self) -> dict[str, Any]:
        """What optimizer and layers work with now, read back from them, under the assigned names.

        Names that went to `apply_other` are left out. Places that disagree give a list of values.
        """
        effective = {}
        for name in self.hparams:
            values = [place.get() for place in places(self.model, self.optimizer, name)]
            if values:
                effective[name] = values[0] if all(v == values[0] for v in values) else values
        return effective
