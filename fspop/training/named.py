"""Losses and optimizers by name or as objects, with errors that name the nearest that exists."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fspop.errors import InvalidSetting
from fspop.training.nearest import hint
from fspop.training.options import Options

LOSSES: dict[str, type[nn.Module]] = {
    name: cls for name, cls in vars(nn).items() if name.endswith("Loss") and isinstance(cls, type)
}
OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, Optimizer) and cls is not Optimizer
}


def make_loss(loss: Any, options: Mapping[str, Any]) -> Any:
    """The loss of this name in torch.nn or of this class, or the given callable itself."""
    if isinstance(loss, str):
        loss = _by_name("loss_function", loss, LOSSES)
    if isinstance(loss, type):
        _check_known("loss_options", loss, options, ())
        return _construct("loss_options", loss, (), options)
    if not callable(loss):
        raise InvalidSetting(
            f"Trainer.loss_function: got {loss!r}, but it must be a name in torch.nn, or a function"
            " of outputs and targets"
        )
    _check_unused("loss_options", options, loss)
    return loss


def make_optimizer(options: Options, groups: Iterable[Any]) -> Optimizer:
    """The optimizer of this name in torch.optim or of this class, on these parameters or groups.

    An Optimizer object is taken as it is, except for what was explicitly given; a function is
    called with the groups. Learning rate, momentum (betas[0] where it has betas) and weight decay
    go to the options of those names; a given one that it does not have raises InvalidSetting.
    """
    optim = options.optim_function
    if isinstance(optim, str):
        optim = _by_name("optim_function", optim, OPTIMIZERS)
    if isinstance(optim, type) and issubclass(optim, Optimizer):
        return _from_class(optim, options, groups)
    _check_unused("optim_options", options.optim_options, optim)
    makes = callable(optim) and not isinstance(optim, type)
    made = optim if isinstance(optim, Optimizer) else optim(groups) if makes else None
    if not isinstance(made, Optimizer):
        raise InvalidSetting(
            f"Trainer.optim_function: got {optim!r}, but it must be a name in torch.optim, an "
            "optimizer, or a function of the parameters that returns one"
        )
    return made


def _from_class(cls: type[Optimizer], options: Options, groups: Iterable[Any]) -> Optimizer:
    if cls is torch.optim.LBFGS:
        raise InvalidSetting(
            "Trainer.optim_function: LBFGS needs a closure; override train_step and pass "
            "optim_function=lambda groups: LBFGS(groups)"
        )
    known = _parameters(cls)
    _check_known("optim_options", cls, options.optim_options, ("params",))
    _check_given_once(options)
    settings: dict[str, Any] = {"lr": options.learning_rate}
    if "momentum" in known:
        settings["momentum"] = options.momentum
    elif "betas" in known:
        settings["betas"] = (options.momentum, *known["betas"].default[1:])
    elif "momentum" in options.given:
        raise InvalidSetting(
            f"Trainer.momentum: got {options.momentum}, but {cls.__name__} has neither momentum "
            "nor betas; choose another optimizer or leave it out"
        )
    if "weight_decay" in known:
        settings["weight_decay"] = options.weight_decay
    elif "weight_decay" in options.given:
        raise InvalidSetting(
            f"Trainer.weight_decay: got {options.weight_decay}, but {cls.__name__} has none; "
            "choose another optimizer or leave it out"
        )
    made: Optimizer = _construct(
        "optim_options", cls, (groups,), {**settings, **options.optim_options}
    )
    return made


def _check_given_once(options: Options) -> None:
    for option, entry in _ENTRIES:
        if option in options.given and entry in options.optim_options:
            raise InvalidSetting(
                f"Trainer.{option}: got {getattr(options, option)!r}, and "
                f"{options.optim_options[entry]!r} as {entry} in optim_options; give one of them",
                field=option,
            )


_ENTRIES = (
    ("learning_rate", "lr"),
    ("momentum", "momentum"),
    ("momentum", "betas"),
    ("weight_decay", "weight_decay"),
)


def _by_name(option: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        module = "torch.nn" if option == "loss_function" else "torch.optim"
        raise InvalidSetting(
            f"Trainer.{option}: {module} has no {name!r}; {hint(name, known)}", field=option
        )
    return known[name]


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(cls).parameters)
    return {n: p for n, p in found.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def _check_known(
    where: str, cls: type, options: Mapping[str, Any], hidden: tuple[str, ...]
) -> None:
    takes_any = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())
    known = [name for name in _parameters(cls) if name not in hidden]
    for name in options:
        if name not in known and not takes_any:
            raise InvalidSetting(
                f"Trainer.{where}: {cls.__name__} has no option {name!r}; {hint(name, known)}",
                field=where,
            )


def _check_unused(where: str, options: Mapping[str, Any], made: Any) -> None:
    if options:
        raise InvalidSetting(
            f"Trainer.{where}: got {dict(options)!r}, but {made!r} is made already; give a name or "
            "class, or set them where it is made",
            field=where,
        )


def _construct(where: str, cls: type, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    try:
        return cls(*args, **options)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidSetting(
            f"Trainer.{where}: {cls.__name__} refused {options!r}: {error}"
        ) from error
