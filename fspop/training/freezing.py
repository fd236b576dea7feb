"""Freezing parts of a model: neither their parameters nor their buffers change any more."""

from collections.abc import Iterable
from functools import partial

from torch import nn

from fspop.errors import UsageError
from fspop.training.nearest import hint


def layers(model: nn.Module) -> list[str]:
    """The dotted names of the modules that have parameters or buffers of their own, in order."""
    return [name for name, module in model.named_modules() if _has_tensors(module)]


def first_layers(model: nn.Module, n: int) -> list[str]:
    """The names of the first `n` layers; UsageError where the model has fewer."""
    names = layers(model)
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= len(names):
        raise UsageError(f"layers: got {n!r}, but the model has {len(names)}: {', '.join(names)}")
    return names[:n]


def expand(model: nn.Module, names: Iterable[str]) -> list[str]:
    """The layers that are, or lie below, these dotted names; UsageError for an unknown name."""
    modules = dict(model.named_modules())
    found: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        if name not in modules:
            raise UsageError(f"the model has no module named {name!r}; {hint(name, modules)}")
        found += [each for each in layers(model) if _is_below(each, name)]
    return [each for each in layers(model) if each in found]


def parameters_of(model: nn.Module, names: Iterable[str]) -> list[nn.Parameter]:
    """The own parameters of these layers."""
    modules = dict(model.named_modules())
    return [p for name in names for p in modules[name].parameters(recurse=False)]


def set_trainable(parameters: Iterable[nn.Parameter], trainable: bool) -> None:
    """Makes these need gradients or not; drops those they have."""
    for parameter in parameters:
        parameter.requires_grad_(trainable)
        parameter.grad = None


class Held:
    """Modules held in evaluation mode until they are let go, whoever calls `train()` on them."""

    def __init__(self) -> None:
        self._modules: list[nn.Module] = []

    def hold(self, modules: Iterable[nn.Module]) -> None:
        """Holds these and all in them, instead of those of before."""
        self.let_go()
        for outer in modules:
            for module in outer.modules():
                module.__dict__["train"] = partial(_to_evaluation_mode, module)
                self._modules.append(module)
            outer.eval()

    def let_go(self) -> None:
        """Leaves them in evaluation mode, but no longer holds them there."""
        for module in self._modules:
            module.__dict__.pop("train", None)
        self._modules = []


def _to_evaluation_mode(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)


def wholly_frozen(model: nn.Module, frozen: Iterable[str]) -> list[nn.Module]:
    """The outermost modules in which every layer is frozen: what has to stay in evaluation mode,
    so that batch norm keeps its statistics, and dropout among frozen layers is off.
    """
    found: list[nn.Module] = []
    _search(model, "", set(frozen), found)
    return found


def _search(module: nn.Module, name: str, frozen: set[str], found: list[nn.Module]) -> bool | None:
    """Whether all layers at or below `module` are frozen, None where there is none."""
    below: list[nn.Module] = []
    states = [
        _search(child, f"{name}.{key}" if name else key, frozen, below)
        for key, child in module.named_children()
    ]
    states += [name in frozen] if _has_tensors(module) else []
    known = [state for state in states if state is not None]
    if known and all(known):
        found.append(module)
        return True
    found += below
    return False if known else None


def _has_tensors(module: nn.Module) -> bool:
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return len(own) > 0


def _is_below(name: str, parent: str) -> bool:
    return parent == "" or name == parent or name.startswith(f"{parent}.")
