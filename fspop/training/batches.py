"""Small facts about batches: to the device, how many samples, how many were right."""

import copy
from collections import UserDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


def to_device(value: Any, device: torch.device) -> Any:
    """The same structure (lists, tuples, mappings) with its tensors on `device`, and whatever else
    has a method `to`, as a PackedSequence or a BatchEncoding.
    """
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if callable(getattr(value, "to", None)):
        return value.to(device)
    if isinstance(value, UserDict):
        moved = copy.copy(value)
        moved.data = to_device(value.data, device)
        return moved
    if isinstance(value, Mapping):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a namedtuple
        return type(value)(*(to_device(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value


def n_samples(batch: Any) -> int:
    """The length of the first tensor with a dimension found in a batch, 1 where there is none."""
    return next(_lengths(batch), 1)


def _lengths(batch: Any) -> Iterator[int]:
    if isinstance(batch, PackedSequence):
        yield int(batch.batch_sizes[0])
    elif isinstance(batch, Tensor):
        yield from batch.shape[:1]
    elif isinstance(batch, list | tuple | Mapping):
        for item in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _lengths(item)


class Hits(NamedTuple):
    """How many targets the outputs were right about, and how many counted, each as a tensor ()."""

    right: Tensor
    of: Tensor


def count_correct(outputs: Any, targets: Any, loss_fn: Any = None) -> Hits | None:
    """How many targets (class indices) are where outputs (N, C, …) are highest.

    Those that `loss_fn` ignores (`ignore_index`, -100) do not count. With a loss of torch for two
    classes, one output a target is enough. None where all this says nothing of classes.
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return None
    if outputs.ndim < 2 or outputs.shape[1] == 1:  # (N,) or (N, 1, …)
        return _count_of_two(outputs, targets, loss_fn)
    found = outputs.argmax(1)
    if found.shape != targets.shape or targets.is_floating_point():
        return None
    counts = targets != getattr(loss_fn, "ignore_index", -100)
    return Hits(((found == targets) & counts).sum(), counts.sum())


def _count_of_two(outputs: Tensor, targets: Tensor, loss_fn: Any) -> Hits | None:
    between = _between(loss_fn)
    if between is None or outputs.shape != targets.shape:
        return None
    same = (outputs > between) == (targets > 0.5)
    return Hits(same.sum(), same.new_tensor(same.numel(), dtype=torch.int64))


def _between(loss_fn: Any) -> float | None:
    """The output that lies between two classes, None for a loss that does not say."""
    if isinstance(loss_fn, nn.BCEWithLogitsLoss) or loss_fn is _BCE_WITH_LOGITS:
        return 0.0
    return 0.5 if isinstance(loss_fn, nn.BCELoss) or loss_fn is _BCE else None


_BCE = nn.functional.binary_cross_entropy
_BCE_WITH_LOGITS = nn.functional.binary_cross_entropy_with_logits
