"""The global random state of a process (random, NumPy, torch): seeded, captured, restored as one.

NumPy and torch take part only where something has imported them; nothing is imported for this.
"""

import base64
import random
import sys
from typing import Any


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
    state: dict[str, Any] = {"python": [version, list(words), gauss_next]}
    if "numpy" in sys.modules:
        import numpy

        state["numpy"] = _as_lists(numpy.random.get_state(legacy=False))
    if "torch" in sys.modules:
        state |= _capture_torch(device)
    return state


def restore(state: dict[str, Any], device: str = "cpu") -> None:
    """Takes back what `capture` gave, here or in another process; imports what that one had.

    A CUDA state is left aside on a machine without CUDA, where the numbers would differ anyway.
    """
    version, words, gauss_next = state["python"]
    random.setstate((version, tuple(words), gauss_next))
    if "numpy" in state:
        import numpy

        numpy.random.set_state(state["numpy"])
    if "torch" in state:
        _restore_torch(state, device)


def _capture_torch(device: str) -> dict[str, Any]:
    import torch

    states = {"torch": _to_text(torch.get_rng_state())}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = _to_text(torch.cuda.get_rng_state(_cuda(device)))
    return states


def _restore_torch(state: dict[str, Any], device: str) -> None:
    import torch

    torch.set_rng_state(_from_text(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_from_text(state["cuda"]), _cuda(device))


def _cuda(device: str) -> str:
    return device if device.startswith("cuda") else "cuda"


def _to_text(state: Any) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _from_text(text: str) -> Any:
    import torch

    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
