"""How a state becomes the one file of a checkpoint, and how that file becomes the state again.

Plain data is written as `state.json`, so a task without torch never imports it; a state with
tensors, tuples, bytes or non-finite floats as `state.pt`. Both read back as exactly what was
written, and the same state gives the same bytes in every process: digests compare between runs.
"""

import io
import json
import math
import pickle
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, cast

from fspop.errors import Damaged, TaskError
from fspop.training.mapped import MappedFile

JSON_FILE = "state.json"
TORCH_FILE = "state.pt"
MOST_BITS = 2000
"""A longer whole number is written in a way that torch.load(weights_only=True) refuses."""

_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    Warning,
    pickle.PickleError,
    struct.error,
)
"""What the readers are seen to raise on bytes that are no state (hostile ones included)."""


class Writable(Protocol):
    """What a state is written to: no seeking, so that a digest can be computed on the way."""

    def write(self, data: Any, /) -> int:
        """Writes all of `data`."""
        ...

    def flush(self) -> None:
        """Does nothing where writes are not buffered."""


def file_name(state: dict[str, Any]) -> str:
    """The file this state belongs in. Raises TaskError, naming a value that would not read back."""
    if type(state) is not dict:
        raise TaskError(f"state_dict(): got {_type_name(state)}, but it must return a dict")
    return TORCH_FILE if _needs_torch(state, "state") else JSON_FILE


def write_state(name: str, state: dict[str, Any], file: Writable) -> None:
    """Writes a state into a file to be called `name`, or so with something in front.

    An OSError of `file` passes through.
    """
    if name.endswith(".json"):
        file.write(json.dumps(state, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        return
    import torch

    torch.save(state, file, pickle_module=_ByValue)  # type: ignore[arg-type]


def read_state(path: str, file: io.RawIOBase, map_location: Any) -> dict[str, Any]:
    """Reads a state from an open file; `path` only says what it is called. Raises Damaged.

    Never executes what it reads: JSON, or torch with `weights_only=True`.
    """
    if path.endswith(".json"):
        return _as_state(path, lambda: json.loads(file.readall() or b""))
    return _as_state(path, lambda: _load_torch(file, map_location))


def read_mapped(path: str, file: MappedFile, map_location: Any) -> dict[str, Any]:
    """As `read_state`, of a torch file whose pages the tensors then lie in."""
    return _as_state(path, lambda: file.load(map_location))


def _as_state(path: str, read: Callable[[], Any]) -> dict[str, Any]:
    try:
        state = read()
    except _UNREADABLE as error:
        if type(error).__name__ in ("OutOfMemoryError", "AcceleratorError"):
            raise  # the GPU's trouble, not the file's
        raise _damaged(path, str(error).splitlines()[0] if str(error) else repr(error)) from error
    if not isinstance(state, dict):
        raise _damaged(path, f"it holds a {_type_name(state)} where a dict was written")
    return cast(dict[str, Any], state)


def _load_torch(file: io.RawIOBase, map_location: Any) -> Any:
    # Not mapped into memory: another host may delete a retired checkpoint while tensors still live
    # in its pages, and a network filesystem answers that with SIGBUS (see `mapped`).
    import torch

    if file.read(4) != b"PK\x03\x04":  # torch would fall back to older formats, never written here
        raise ValueError("not a torch archive")
    file.seek(0)
    return torch.load(file, map_location=map_location, weights_only=True)  # type: ignore[arg-type]


def _damaged(path: str, why: str) -> Damaged:
    return Damaged(
        f"{path}: not a checkpoint that can be loaded safely ({why}); "
        "remove this checkpoint so that training goes on from an older one",
        path=path,
    )


class _ByValuePickler(pickle.Pickler):
    """Writes a repeated string or list again instead of referring to the first one.

    Which values are the same object differs between a task that went on and one that was restored;
    the bytes of a checkpoint must not. Tensors that share memory still share it.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fast = True


_ByValue = types.SimpleNamespace(__name__="pickle", Pickler=_ByValuePickler)


def _needs_torch(value: Any, where: str) -> bool:
    """Whether JSON would not give `value` back; raises TaskError if torch would not either.

    Exact types only: a numpy.float64 is a float, but would come back as another type.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return False
    if kind is int:
        if value.bit_length() > MOST_BITS:
            raise TaskError(f"{where}: got a number of {value.bit_length()} bits; make it a str")
        return not -(2**63) <= value < 2**64
    if kind is float:
        return not math.isfinite(value)
    if kind is list or kind is tuple:
        inside = [_needs_torch(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return kind is tuple or any(inside)
    if kind is dict or kind is OrderedDict:
        inside = [_needs_torch(item, f"{where}[{key!r}]") for key, item in value.items()]
        keys = [_needs_torch(key, f"a key of {where}") or type(key) is not str for key in value]
        return kind is OrderedDict or any(inside) or any(keys)
    if _is_torch_value(value) or (kind is bytes and value):
        return True
    if kind is bytes:  # torch writes it in a way that weights_only refuses
        raise TaskError(f"{where}: got b'', which torch would not load again; use None or ''")
    raise TaskError(
        f"{where}: got {_type_name(value)}, but a state holds tensors and plain data "
        "(None, bool, int, float, str, bytes, list, tuple, dict); convert it in state_dict()"
    )


def _is_torch_value(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    kinds = (torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device)
    return type(value) in kinds  # a subclass would be saved, and refused when it is loaded


def _type_name(value: Any) -> str:
    kind = type(value)
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return prefix + kind.__qualname__
