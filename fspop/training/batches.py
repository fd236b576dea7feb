"""Small facts about batches: to the device, how many samples, how many were right."""

from typing import Any

import torch
from torch import Tensor


def to_device(value: Any, device: torch.device) -> Any:
    """The same structure (lists, tuples, dicts) with its tensors on `device`."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a namedtuple
        return type(value)(*(to_device(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value


def n_samples(batch: Any) -> int:
    """The length of the first tensor found in a batch, 1 where there is none."""
    if isinstance(batch, Tensor):
        return batch.shape[0] if batch.ndim else 1
    items = list(batch.values()) if isinstance(batch, dict) else batch
    for item in items if isinstance(items, list | tuple) else ():
        if isinstance(item, Tensor | dict | list | tuple):
            return n_samples(item)
    return 1


def count_correct(outputs: Any, targets: Any) -> Tensor | None:
    """How many targets (class indices) are where outputs (N, C, …) are highest.

    None where the shapes are not those of a classification.
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.ndim < 2:
        return None
    found = outputs.argmax(1)
    if found.shape != targets.shape or targets.is_floating_point():
        return None
    return (found == targets).sum()
