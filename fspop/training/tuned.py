"""What TorchTask and Trainer share: hyperparameters that are set where they work, and read back."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from fspop.errors import HparamsNotApplied
from fspop.training.hparam_places import Place, overlaps, places, put_back
from fspop.training.in_effect import check_in_effect
from fspop.training.plain_copy import copy_state
from fspop.training.plain_state import python_number


class Tuned:
    """Something with a model, an optimizer and hyperparameters.

    A nested mapping is taken apart where its leaves have places: {"learning_rate": {"head": 0.1}}
    and {"learning_rate.head": 0.1} are the same. A dotted name goes before one of more places:
    with {"learning_rate": 0.2} beside it, that is of all but the head. What was assigned last is
    `hparams`.
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

        HparamsNotApplied for one that has no place, or has another value in effect afterwards,
        InvalidSetting for a value that cannot be; all is as before then.
        """
        if not isinstance(hparams, Mapping):
            raise HparamsNotApplied(
                f"hyperparameters: got {hparams!r}, but {type(self).__name__} needs names for "
                'them, as in {"learning_rate": 0.1}; or override apply_hparams'
            )
        new = copy_state(dict(hparams), python_number)
        with ExitStack() as undo:
            undo.callback(setattr, self, "hparams", getattr(self, "hparams", {}))
            kept = self.kept_beside(new)
            parts = {name: {**kept[name], **new[name]} for name in kept.keys() & new.keys()}
            self.hparams = {**kept, **new, **parts}
            for name, value in self._in_order(new):
                self._apply(name, value, undo)
            check_in_effect(self, {name: self.hparams[name] for name in new})
            undo.pop_all()

    def kept_beside(self, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """Which of those assigned before count beside newly assigned ones: none here. Of nested
        ones the parts count that are not assigned anew.
        """
        return {}

    def effective_hparams(self) -> dict[str, Any]:
        """What is in effect now, read back from where it works, under the assigned names.

        Names that went to `apply_other` are left out. Places that disagree give a list of values.
        """
        return self._effective("", self.hparams, self._own_places())

    def _apply(self, name: str, value: Any, undo: ExitStack) -> None:
        found = self.places(name)
        for place in found:
            undo.callback(put_back(place))
            place.set(value)
        if not found:
            self.apply_other(name, value)

    def leaves(self, hparams: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
        """Dotted names and values, nested mappings taken apart."""
        found: list[tuple[str, Any]] = []
        for key, value in hparams.items():
            name = f"{prefix}{key}"
            nested = self.is_nested(name, value)
            found += self.leaves(value, f"{name}.") if nested else [(name, value)]
        return found

    def _in_order(self, hparams: Mapping[str, Any]) -> list[tuple[str, Any]]:
        return sorted(self.leaves(hparams), key=lambda leaf: "." in leaf[0])

    def _own_places(self) -> dict[str, list[Place]]:
        """For each assigned name its places but those where a later one was assigned; all of them
        where none is left: then two names contradict each other.
        """
        own: dict[str, list[Place]] = {}
        taken: list[Any] = []
        for name, _ in reversed(self._in_order(self.hparams)):
            found = self.places(name)
            own[name] = [each for each in found if not overlaps(each, taken)] or found
            taken += found
        return own

    def _effective(
        self, prefix: str, assigned: Mapping[str, Any], own: Mapping[str, list[Place]]
    ) -> dict[str, Any]:
        effective: dict[str, Any] = {}
        for key, value in assigned.items():
            if self.is_nested(prefix + key, value):
                effective[key] = self._effective(f"{prefix}{key}.", value, own)
                continue
            values = [place.get() for place in own[f"{prefix}{key}"]]
            if values:
                agree = all(v is values[0] or v == values[0] for v in values)
                effective[key] = values[0] if agree else values
        return effective

    def is_nested(self, name: str, value: Any) -> bool:
        """Whether a mapping's parts have places of their own, and not the mapping as a whole."""
        if not isinstance(value, Mapping) or self._takes_mapping(name):
            return False
        return any(
            bool(self.places(f"{name}.{key}")) or self.is_nested(f"{name}.{key}", part)
            for key, part in value.items()
        )

    def _takes_mapping(self, name: str) -> bool:
        return any(isinstance(place.get(), Mapping) for place in self.places(name))
