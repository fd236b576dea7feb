"""Reads and sets learning rate and momentum in the parameter groups of any torch optimizer."""

from typing import Any

import torch
from torch.optim import Optimizer, RMSprop

from fspop.errors import InvalidSetting
from fspop.training.nearest import hint
from fspop.training.schedules.checks import check_number


def set_learning_rate(optimizer: Optimizer, lr: float, group: int | str | None = None) -> None:
    """Sets `lr` in every parameter group, or in the one of this index or "name" entry."""
    check_number("set_learning_rate", "lr", lr, least=0)
    for each in param_groups(optimizer, group):
        _put(each, "lr", float(lr))


def get_learning_rate(optimizer: Optimizer, group: int | str = 0) -> float:
    """The learning rate in effect in one parameter group."""
    return float(param_groups(optimizer, group)[0]["lr"])


def set_momentum(optimizer: Optimizer, momentum: float, group: int | str | None = None) -> None:
    """Sets momentum, or the first of betas where the optimizer has those, in all groups or in one.

    In [0, 1). Raises InvalidSetting for an optimizer that has neither.
    """
    check_number("set_momentum", "momentum", momentum, least=0, below=1)
    for each in param_groups(optimizer, group):
        if _momentum_key(optimizer, each) == "momentum":
            _put(each, "momentum", float(momentum))
        else:
            first, *others = each["betas"]
            new = first.fill_(momentum) if isinstance(first, torch.Tensor) else float(momentum)
            each["betas"] = (new, *others)
    if isinstance(optimizer, RMSprop) and momentum > 0:
        _give_buffers(optimizer)


def get_momentum(optimizer: Optimizer, group: int | str = 0) -> float:
    """The momentum (or first beta) in effect in one parameter group."""
    chosen = param_groups(optimizer, group)[0]
    key = _momentum_key(optimizer, chosen)
    return float(chosen[key] if key == "momentum" else chosen[key][0])


def param_groups(optimizer: Optimizer, group: int | str | None) -> list[dict[str, Any]]:
    """All parameter groups, or those of this index or "name"; InvalidSetting for none."""
    groups = optimizer.param_groups
    if group is None:
        return groups
    if isinstance(group, int):
        if not 0 <= group < len(groups):
            raise InvalidSetting(f"group: got {group}, but the optimizer has {len(groups)} groups")
        return [groups[group]]
    found = [each for each in groups if each.get("name") == group]
    if not found:
        names = [str(each["name"]) for each in groups if "name" in each]
        raise InvalidSetting(
            f"group: the optimizer has no group named {group!r}; {hint(group, names)}"
        )
    return found


def _momentum_key(optimizer: Optimizer, group: dict[str, Any]) -> str:
    for key in ("momentum", "betas"):
        if key in group:
            return key
    raise InvalidSetting(
        f"momentum: {type(optimizer).__name__} has neither momentum nor betas; "
        "choose another optimizer or no momentum"
    )


def _put(group: dict[str, Any], key: str, value: float) -> None:
    # A captured or compiled step holds on to the tensor, so it has to stay the same one.
    if isinstance(group[key], torch.Tensor):
        group[key].fill_(value)
    else:
        group[key] = value


def _give_buffers(optimizer: Optimizer) -> None:
    # RMSprop makes its momentum buffers at a parameter's first step only, and fails later without.
    for parameter, state in optimizer.state.items():
        if state and "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
