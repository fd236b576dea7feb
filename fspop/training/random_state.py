"""The global random state of a process (random, NumPy, torch): seeded, captured, restored as one.

NumPy and torch take part only where something has imported them; nothing is imported for this.
"""

import base64
import random
import struct
import sys
from typing import Any

_PYTHON = struct.Struct("<625L")
"""Python's generator: 624 words and a position. As one text a state costs little to look through,
which is done several times for every checkpoint.
"""


def seed_all(seed: int) -> None:
    """Seeds every global generator (0 <= seed < 2**64); call it after the experiment's imports."""
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy

        numpy.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)


def capture(device: str = "cpu") -> dict[str, Any]:
    """The state of every global generator as plain JSON data.

    With CUDA in use it holds one GPU's generator: that of `device`, or of the current one.
    """
    version, words, gauss_next = random.getstate()
    state: dict[str, Any] = {"python": [version, _to_text(_PYTHON.pack(*words)), gauss_next]}
    if "numpy" in sys.modules:
        import numpy

        state["numpy"] = _as_plain(numpy.random.get_state(legacy=False))
    if "torch" in sys.modules:
        state |= _capture_torch(device)
    return state


def restore(state: dict[str, Any], device: str = "cpu") -> None:
    """Takes back what `capture` gave, here or in another process; imports what that one had.

    A CUDA state is left aside on a machine without CUDA, where the numbers would differ anyway.
    """
    version, words, gauss_next = state["python"]
    random.setstate((version, _PYTHON.unpack(_from_text(words)), gauss_next))
    if "numpy" in state:
        import numpy

        numpy.random.set_state(_as_arrays(state["numpy"]))
    if "torch" in state:
        _restore_torch(state, device)


def _capture_torch(device: str) -> dict[str, Any]:
    import torch

    states = {"torch": _to_text(torch.get_rng_state().numpy())}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = _to_text(torch.cuda.get_rng_state(_cuda(device)).numpy())
    return states


def _restore_torch(state: dict[str, Any], device: str) -> None:
    import torch

    torch.set_rng_state(_as_tensor(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_as_tensor(state["cuda"]), _cuda(device))


def _cuda(device: str) -> str:
    return device if device.startswith("cuda") else "cuda"


def _as_tensor(text: str) -> Any:
    import torch

    return torch.frombuffer(bytearray(_from_text(text)), dtype=torch.uint8)


def _as_plain(value: Any) -> Any:
    """NumPy's state, its arrays (which have one dimension) as their type and a text."""
    if isinstance(value, dict):
        return {key: _as_plain(item) for key, item in value.items()}
    if hasattr(value, "dtype") and value.ndim:
        kept = value.astype(value.dtype.newbyteorder("<"))
        return [kept.dtype.str, _to_text(kept)]
    return value.item() if hasattr(value, "item") else value


def _as_arrays(value: Any) -> Any:
    import numpy

    if isinstance(value, dict):
        return {key: _as_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        kind, text = value
        return numpy.frombuffer(_from_text(text), kind)
    return value


def _to_text(data: Any) -> str:
    """The bytes of anything that has a buffer."""
    return base64.b64encode(data).decode()


def _from_text(text: str) -> bytes:
    return base64.b64decode(text)
