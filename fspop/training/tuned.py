"""What TorchTask and Trainer share: hyperparameters that are set where they work, and read back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fspop.errors import HparamsNotApplied
from fspop.training.hparam_places import Place, places
from fspop.training.in_effect import check_in_effect
from fspop.training.plain_copy import copy_state
from fspop.training.plain_state import python_number


class Tuned:
    """Something with a model, an optimizer and hyperparameters.

    A nested mapping is taken apart where its leaves have places: {"learning_rate": {"head": 0.1}}
    and {"learning_rate.head": 0.1} are the same. What was assigned last is `hparams`.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    hparams: dict[str, Any]

    def places(self, name: str) -> list[Place]:
        """Every spot where the hyperparameter of this (dotted) name takes effect; [] for none."""
        return places(self.model, self.optimizer, name)

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

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers whose param groups count."""
        return [self.optimizer]

    def scalars(self) -> dict[str, float]:
        """What charts of a population show beside an evaluation: the learning rates in effect."""
        groups = [g for each in self.optimizers() for g in each.param_groups if "lr" in g]
        if len(groups) == 1:
            return {"learning_rate": float(groups[0]["lr"])}
        names = [group.get("name", number) for number, group in enumerate(groups)]
        return {f"learning_rate/{n}": float(g["lr"]) for n, g in zip(names, groups, strict=True)}

    def apply_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Sets each hyperparameter where it takes effect and reads it back.

        HparamsNotApplied for one that has no place, or has another value in effect afterwards.
        """
        if not isinstance(hparams, Mapping):
            raise HparamsNotApplied(
                f"hyperparameters: got {hparams!r}, but {type(self).__name__} needs names for "
                'them, as in {"learning_rate": 0.1}; or override apply_hparams'
            )
        hparams = copy_state(dict(hparams), python_number)
        self.hparams = dict(hparams)
        for name, value in hparams.items():
            self._apply(name, value)
        check_in_effect(self, hparams)

    def effective_hparams(self) -> dict[str, Any]:
        """What is in effect now, read back from where it works, under the assigned names.

        Names that went to `apply_other` are left out. Places that disagree give a list of values.
        """
        return self._effective("", self.hparams)

    def _apply(self, name: str, value: Any) -> None:
        if self._is_nested(name, value):
            for key, part in value.items():
                self._apply(f"{name}.{key}", part)
            return
        found = self.places(name)
        for place in found:
            place.set(value)
        if not found:
            self.apply_other(name, value)

    def _effective(self, prefix: str, assigned: Mapping[str, Any]) -> dict[str, Any]:
        effective: dict[str, Any] = {}
        for key, value in assigned.items():
            if self._is_nested(prefix + key, value):
                effective[key] = self._effective(f"{prefix}{key}.", value)
                continue
            values = [place.get() for place in self.places(prefix + key)]
            if values:
                agree = all(v is values[0] or v == values[0] for v in values)
                effective[key] = values[0] if agree else values
        return effective

    def _is_nested(self, name: str, value: Any) -> bool:
        """Whether a mapping's parts have places of their own, and not the mapping as a whole."""
        if not isinstance(value, Mapping) or self._takes_mapping(name):
            return False
        return any(
            bool(self.places(f"{name}.{key}")) or self._is_nested(f"{name}.{key}", part)
            for key, part in value.items()
        )

    def _takes_mapping(self, name: str) -> bool:
        return any(isinstance(place.get(), Mapping) for place in self.places(name))
