"""Models out of checkpoints: a checkpoint says which class it needs; nothing in it is executed."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fspop.errors import ConfigurationError, Damaged, UnknownFormat
from fspop.training.checkpoint_index import opened_state
from fspop.training.options import is_plain

FORMAT = 1
Arguments = Mapping[str, Any] | Sequence[Any]
_BUILD = "Build the model it was written with"


def describe_model(model: nn.Module, arguments: Arguments | None) -> dict[str, Any]:
    """What a checkpoint says about its model: class, import path, constructor arguments or None."""
    cls = type(model)
    known = dict(arguments) if isinstance(arguments, Mapping) else list(arguments or ())
    recorded = known if arguments is not None and is_plain(known) else None
    return {"module": cls.__module__, "class": cls.__qualname__, "arguments": recorded}


def build(make: Callable[..., Any], arguments: Arguments | None) -> Any:
    """Calls `make` with named or positional arguments."""
    if isinstance(arguments, Mapping):
        return make(**arguments)
    return make(*(arguments or ()))


def load_model(
    path: str | PathLike[str], model: nn.Module | None = None, map_location: Any = "cpu"
) -> nn.Module:
    """The model of a checkpoint with its weights, in evaluation mode.

    `path` is a checkpoint of a Trainer or of a population (its folder, or a link such as best_ck).
    Without `model` its class is imported and constructed with the recorded arguments, or without
    any where none are known; give a `model` of the right shape where that is not enough. Only a
    class that is a torch.nn.Module is ever called. Raises Damaged, ConfigurationError.
    """
    with trainer_state(path, map_location) as state:
        built = model if model is not None else _construct(Path(path), state["model_class"])
        if isinstance(map_location, str | torch.device):
            built = built.to(map_location)
        advice = _BUILD
        if model is None and state["model_class"]["arguments"] is None:
            advice = f"It was made here without arguments: give load_model({str(path)!r}, model=…)"
        check_fits(built, state["model"], str(path), advice)
        built.load_state_dict(state["model"])
    return built.eval()


@contextlib.contextmanager
def trainer_state(path: str | PathLike[str], map_location: Any = "cpu") -> Iterator[dict[str, Any]]:
    """A trainer's state in a checkpoint, its own or a population's, while the block runs."""
    with opened_state(path, map_location) as state:
        yield _checked(state.get("task"), path)


def _checked(state: Any, path: str | PathLike[str]) -> dict[str, Any]:
    if isinstance(state, dict):
        check_format(state, str(path))
    if not isinstance(state, dict) or "model" not in state or "model_class" not in state:
        raise Damaged(f"{path}: it is no checkpoint of a Trainer", path=str(path))
    return state


def check_format(state: Mapping[str, Any], where: str = "load_state_dict") -> None:
    """Raises UnknownFormat for the state of a Trainer of a newer fspop."""
    written = state.get("format")
    if "feed" in state and written != FORMAT:
        raise UnknownFormat(
            f"{where}: a Trainer's state of format {written!r}, this fspop reads {FORMAT}; "
            "upgrade fspop"
        )


def check_fits(
    model: nn.Module,
    weights: Mapping[str, Any],
    where: str,
    advice: str = _BUILD,
) -> None:
    """Raises ConfigurationError where `weights` are of another architecture; changes nothing."""
    mine = model.state_dict()
    wrong = [f"{name} is missing" for name in mine if name not in weights]
    wrong += [f"{name} is unexpected" for name in weights if name not in mine]
    for name in mine.keys() & weights.keys():
        a, b = mine[name], weights[name]
        if is_lazy(a) or is_lazy(b):  # takes the shape of what is loaded
            continue
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape != b.shape:
            wrong.append(f"{name} is {tuple(b.shape)}, the model has {tuple(a.shape)}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigurationError(
            f"{where}: a checkpoint of another architecture than {type(model).__name__}: "
            f"{'; '.join(sorted(wrong)[:3])}{more}. {advice}"
        )


def describe_checkpoint(path: str | PathLike[str]) -> str:
    """What a checkpoint holds, for a person: one line for each tensor or value, by dotted key."""
    with opened_state(path) as state:
        return "\n".join(_lines(state, ""))


def _lines(value: Any, key: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [
            line for k, v in value.items() for line in _lines(v, f"{key}.{k}" if key else f"{k}")
        ]
    if isinstance(value, torch.Tensor):
        text = f"{value.dtype} {tuple(value.shape)}".removeprefix("torch.")
    else:
        text = repr(value) if len(repr(value)) < 60 else f"{type(value).__name__} of {len(value)}"
    return [f"{key}: {text}"]


def _construct(path: Path, described: Mapping[str, Any]) -> nn.Module:
    name = f"{described['module']}.{described['class']}"
    advice = f"give one: load_model({str(path)!r}, model=…)"
    cls = _import(described["module"], described["class"], f"{path}: its model is {name}", advice)
    try:
        model = build(cls, described["arguments"])
    except Exception as error:  # a constructor may raise anything
        known = "its recorded" if described["arguments"] is not None else "no"
        raise ConfigurationError(
            f"{path}: {name} with {known} arguments: {type(error).__name__}: {error}; {advice}"
        ) from error
    assert isinstance(model, nn.Module)
    return model


def _import(module: str, qualname: str, what: str, advice: str) -> type[nn.Module]:
    if module == "__main__":
        advice = f"move it into a module that can be imported, or {advice}"
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{what}, which cannot be imported ({error}); {advice}") from error
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise ConfigurationError(f"{what}, which is no torch.nn.Module; {advice}")
    return found
