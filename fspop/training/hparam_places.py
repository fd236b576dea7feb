"""Where a hyperparameter takes effect in a torch optimizer or model: set there, read back there."""

import copy
import functools
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from fspop.errors import HparamsNotApplied
from fspop.training.schedules.checks import check_number, refuse
from fspop.training.schedules.optimizers import param_groups, set_momentum

_ALIASES = {"learning_rate": "lr"}
_BETA_INDEX = {"momentum": 0, "beta1": 0, "beta2": 1}
_NOT_HPARAMS = ("params", "name")
_NOT_NEGATIVE = ("lr", "weight_decay", "eps")
_BELOW_ONE = ("momentum", "betas")


class Place(Protocol):
    """One spot that holds a hyperparameter's value.

    It may also have `spot`, a tuple that is the same for the same spot (one that begins another's
    is a part of it), and `keep()`, which returns what makes it hold again what it holds now.
    """

    def set(self, value: Any) -> None:
        """Makes `value` the one in effect."""

    def get(self) -> Any:
        """The value in effect, as plain data."""


def put_back(place: Place) -> Callable[[], None]:
    """What makes `place` hold again what it holds now."""
    keep: Callable[[], Callable[[], None]] | None = getattr(place, "keep", None)
    return keep() if keep is not None else functools.partial(place.set, place.get())


def overlaps(place: Place, others: Iterable[Place]) -> bool:
    """Whether one of `others` is (a part of) the same spot."""
    spot = getattr(place, "spot", (id(place),))
    for other in others:
        theirs = getattr(other, "spot", (id(other),))
        if all(a == b for a, b in zip(spot, theirs, strict=False)):
            return True
    return False


def keep_entry(group: dict[str, Any], key: str) -> Callable[[], None]:
    """What makes this entry of a param group hold again what it holds now."""
    kept = copy.deepcopy(group[key])

    def put_back() -> None:
        if isinstance(group[key], torch.Tensor):
            group[key].copy_(kept)
        else:
            group[key] = kept

    return put_back


def places(model: nn.Module, optimizer: torch.optim.Optimizer, name: str) -> list[Place]:
    """Every spot for the hyperparameter `name`: param groups or dropout; [] for none.

    A name may end in a param group, by its "name" or index: "learning_rate.head", "lr.0". A group
    that does not exist raises InvalidSetting.
    """
    if name == "dropout":
        return dropouts(model)
    name, _, group = name.partition(".")
    if name != "dropout" and in_groups(optimizer, optimizer.param_groups, name):
        return in_groups(optimizer, param_groups(optimizer, group_key(group)), name)
    return []


def group_key(text: str) -> int | str | None:
    """A param group as `set_learning_rate` takes it, from the text after the dot."""
    return None if not text else int(text) if text.isdecimal() else text


def dropouts(model: nn.Module) -> list[Place]:
    """The probability of every dropout layer, and of layers that drop inside."""
    found: list[Place] = []
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            found.append(Attribute(module, "p"))
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            found.append(Attribute(module, "dropout"))
    return found


def attributes(owners: Iterable[Any], name: str) -> list[Place]:
    """The attribute of this dotted name in each owner that has it and whose value is plain data."""
    *path, last = name.split(".")
    found: list[Place] = []
    for owner in owners:
        for step in path:
            owner = getattr(owner, step, None)
        if last == "training" and isinstance(owner, nn.Module):
            continue
        if isinstance(getattr(owner, last, ...), _PLAIN):
            found.append(Attribute(owner, last))
    return found


_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


class Attribute:
    """A plain attribute of any object."""

    def __init__(self, owner: Any, name: str):
        self.owner, self.name = owner, name
        self.spot = (id(owner), name)

    def set(self, value: Any) -> None:
        """Assigns it; InvalidSetting for no probability where it has to be one, HparamsNotApplied
        where the object does not allow it.
        """
        if _is_probability(self.owner, self.name):
            check_number("hparams", self.name, value, least=0, most=1)
        try:
            setattr(self.owner, self.name, value)
        except (AttributeError, ValueError, TypeError) as error:
            raise HparamsNotApplied(
                f"hyperparameter {self.name}={value!r}: {type(self.owner).__name__} refused it "
                f"({error})",
                name=self.name,
            ) from error

    def get(self) -> Any:
        """Reads it."""
        value = getattr(self.owner, self.name)
        return list(value) if isinstance(value, tuple) else value

    def keep(self) -> Callable[[], None]:
        """As in Place."""
        return functools.partial(setattr, self.owner, self.name, getattr(self.owner, self.name))


def _is_probability(owner: Any, name: str) -> bool:
    if isinstance(owner, _DropoutNd):
        return name == "p"
    inside = isinstance(owner, nn.MultiheadAttention | nn.RNNBase) and name == "dropout"
    return inside or (isinstance(owner, nn.Module) and name == "label_smoothing")


def in_groups(
    optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]], name: str
) -> list[Place]:
    """The spot in each of these param groups of `optimizer` that has one for `name`."""
    found = (_in_group(optimizer, group, name) for group in groups)
    return [place for place in found if place is not None]


def _in_group(optimizer: torch.optim.Optimizer, group: dict[str, Any], name: str) -> Place | None:
    key = _ALIASES.get(name, name)
    if key in group and key not in _NOT_HPARAMS:
        return _Entry(optimizer, group, key)
    if name in _BETA_INDEX and "betas" in group:
        return _Beta(group, _BETA_INDEX[name])
    return None


class _Entry:
    """An entry of a param group; a tensor stays that tensor: compiled optimizers hold on to it."""

    def __init__(self, optimizer: torch.optim.Optimizer, group: dict[str, Any], key: str):
        self.optimizer, self.group, self.key = optimizer, group, key
        self.spot = (id(group), key)

    def set(self, value: Any) -> None:
        _check_entry(self.key, self.group[self.key], value)
        if isinstance(self.group[self.key], torch.Tensor):
            self.group[self.key].fill_(value)
        elif self.key == "momentum":  # which may need buffers from now on
            index = [group is self.group for group in self.optimizer.param_groups].index(True)
            set_momentum(self.optimizer, value, index)
        else:
            self.group[self.key] = tuple(value) if isinstance(value, list) else value

    def get(self) -> Any:
        value = self.group[self.key]
        if isinstance(value, torch.Tensor):
            return value.item()
        return list(value) if isinstance(value, tuple) else value

    def keep(self) -> Callable[[], None]:
        return keep_entry(self.group, self.key)


class _Beta:
    """One of a param group's betas; a tensor stays that tensor, too."""

    def __init__(self, group: dict[str, Any], index: int):
        self.group, self.index = group, index
        self.spot = (id(group), "betas", index)

    def set(self, value: Any) -> None:
        check_number("hparams", f"beta{self.index + 1}", value, least=0, below=1)
        betas = list(self.group["betas"])
        held = betas[self.index]
        betas[self.index] = held.fill_(value) if isinstance(held, torch.Tensor) else value
        self.group["betas"] = tuple(betas)

    def get(self) -> Any:
        beta = self.group["betas"][self.index]
        return beta.item() if isinstance(beta, torch.Tensor) else beta

    def keep(self) -> Callable[[], None]:
        return keep_entry(self.group, "betas")


def _check_entry(key: str, held: Any, value: Any) -> None:
    """InvalidSetting for what an optimizer with `held` in this entry cannot work with."""
    name = "learning_rate" if key == "lr" else key
    if isinstance(held, bool):
        if not isinstance(value, bool):
            raise refuse("hparams", name, value, "True or False")
    elif isinstance(held, int | float | torch.Tensor):
        least = 0 if key in (*_NOT_NEGATIVE, *_BELOW_ONE) else None
        check_number("hparams", name, value, least=least, below=1 if key in _BELOW_ONE else None)
    elif key == "betas":
        if not isinstance(value, list | tuple) or len(value) != len(held):
            raise refuse("hparams", name, value, f"a list of {len(held)} numbers")
        for each in value:
            check_number("hparams", name, each, least=0, below=1)
