"""Lets somebody train for a while and then puts everything back, bit for bit."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fspop.training import random_state
from fspop.training.replayed_loader import generators_of

Restore = Callable[[], None]


@contextmanager
def no_trace(
    roots: Iterable[nn.Module], optimizer: Optimizer, loaders: Iterable[Any] = ()
) -> Iterator[None]:
    """Restores modules, optimizer and random state on leaving, also when the block raises.

    Covered: parameters, buffers (persistent or not), gradients, training flags, extra state; the
    optimizer's state and groups; the global random state of Python, NumPy and torch (with CUDA
    that of the trained device); the generators of loaders and their samplers. Parameters and
    buffers keep their identity. Costs one copy of the modules' tensors and of the optimizer's
    state. Gradients are taken away for the time being.
    """
    modules = [module for root in roots for module in root.modules()]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    parameters = _distinct([*(p for module in modules for p in module.parameters(False)), *trained])
    buffers = _distinct(b for module in modules for b in module.buffers(False))
    restores = [
        _random_state(str(trained[0].device)),  # first to be saved, so last to be restored
        *(_loader_state(loader) for loader in loaders),
        _optimizer_state(optimizer),
        _tensors([*parameters, *buffers]),
        *(_module_state(module) for module in modules),
        _gradients(parameters),
    ]
    try:
        yield
    finally:
        for restore in reversed(restores):
            restore()


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())


def _random_state(device: str) -> Restore:
    return partial(random_state.restore, random_state.capture(device), device)


def _loader_state(loader: Any) -> Restore:
    saved = [(each, each.get_state()) for each in generators_of(loader)]
    # Persistent workers that the block started would spare the next epoch a draw of their seed.
    iterator = getattr(loader, "_iterator", None)

    def restore() -> None:
        if getattr(loader, "_iterator", None) is not iterator:
            loader._iterator = iterator
        for generator, state in saved:
            generator.set_state(state)

    return restore


def _optimizer_state(optimizer: Optimizer) -> Restore:
    state = {p: copy.deepcopy(values) for p, values in optimizer.state.items()}
    groups = [copy.deepcopy(_options(group)) for group in optimizer.param_groups]

    def restore() -> None:
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, saved in zip(optimizer.param_groups, groups, strict=True):
            for key in _options(group).keys() - saved.keys():
                del group[key]
            group.update(saved)

    return restore


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _tensors(tensors: list[Tensor]) -> Restore:
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors]

    def restore() -> None:
        with torch.no_grad():
            for tensor, value in saved:
                tensor.copy_(value)

    return restore


def _module_state(module: nn.Module) -> Restore:
    training, buffers = module.training, dict(module._buffers)
    has_extra = type(module).get_extra_state is not nn.Module.get_extra_state
    extra = copy.deepcopy(module.get_extra_state()) if has_extra else None

    def restore() -> None:
        module.training = training
        module._buffers.clear()
        module._buffers.update(buffers)  # some modules assign new buffers, not values
        if has_extra:
            module.set_extra_state(extra)

    return restore


def _gradients(parameters: list[Tensor]) -> Restore:
    saved = [(parameter, parameter.grad) for parameter in parameters]
    for parameter, _ in saved:
        parameter.grad = None

    def restore() -> None:
        for parameter, gradient in saved:
            parameter.grad = gradient

    return restore
