"""Where a hyperparameter takes effect in a torch optimizer or model: set there, read back there."""

from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

_GROUP_KEYS = {
    "learning_rate": "lr",
    "lr": "lr",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "betas": "betas",
}
_BETA_INDEX = {"momentum": 0, "beta1": 0, "beta2": 1}


class Place(Protocol):
    """One spot that holds a hyperparameter's value."""

    def set(self, value: Any) -> None:
        """Makes `value` the one in effect."""

    def get(self) -> Any:
        """The value in effect, as plain data."""


def places(model: nn.Module, optimizer: torch.optim.Optimizer, name: str) -> list[Place]:
    """Every spot for the hyperparameter `name`: param groups or dropout layers; [] for none."""
    if name == "dropout":
        return [_Probability(m) for m in model.modules() if isinstance(m, _DropoutNd)]
    found = (_in_group(group, name) for group in optimizer.param_groups)
    return [place for place in found if place is not None]


def _in_group(group: dict[str, Any], name: str) -> Place | None:
    key = _GROUP_KEYS.get(name)
    if key in group:
        return _Entry(group, key)
    if name in _BETA_INDEX and "betas" in group:
        return _Beta(group, _BETA_INDEX[name])
    return None


class _Entry:
    """An entry of a param group; a tensor stays that tensor: compiled optimizers hold on to it."""

    def __init__(self, group: dict[str, Any], key: str):
        self.group, self.key = group, key

    def set(self, value: Any) -> None:
        if isinstance(self.group[self.key], torch.Tensor):
            self.group[self.key].fill_(value)
        else:
            self.group[self.key] = tuple(value) if isinstance(value, list) else value

    def get(self) -> Any:
        value = self.group[self.key]
        if isinstance(value, torch.Tensor):
            return value.item()
        return list(value) if isinstance(value, tuple) else value


class _Beta:
    """One of a param group's betas."""

    def __init__(self, group: dict[str, Any], index: int):
        self.group, self.index = group, index

    def set(self, value: Any) -> None:
        betas = list(self.group["betas"])
        betas[self.index] = value
        self.group["betas"] = tuple(betas)

    def get(self) -> Any:
        beta = self.group["betas"][self.index]
        return beta.item() if isinstance(beta, torch.Tensor) else beta


class _Probability:
    """The probability of a dropout layer."""

    def __init__(self, layer: _DropoutNd):
        self.layer = layer

    def set(self, value: Any) -> None:
        self.layer.p = value

    def get(self) -> Any:
        return self.layer.p
