"""A state copied to host memory that is used again for the next copy: what makes a save cheap.

Whole storages are copied, as torch.save writes them, so tensors that share memory still share it
and the copy is saved as the same bytes as the state (on CUDA up to the device's name in them).
Tensors that are more than a view of one (sparse, quantised, conjugate, a subclass) are cloned.
"""

import copy
from collections import defaultdict
from typing import Any, cast

import torch

from fspop.training.memory import copy_memory
from fspop.training.plain_copy import copy_state

_Kind = tuple[int, bool]  # bytes, pinned
_Storages = dict[int, torch.UntypedStorage]


class HostCopy:
    """Holds one copied state; the next copy goes into the same memory, storage by storage.

    Memory is allocated only for storages of a size that the last state did not have, and freed
    where a size is no longer needed. For a CUDA storage it is pinned.
    """

    def __init__(self) -> None:
        self._kinds: list[_Kind] = []
        self._buffers: list[torch.UntypedStorage] = []

    def of(self, state: dict[str, Any]) -> dict[str, Any]:
        """A copy that lives until the next call, and shares nothing with `state` afterwards."""
        tensors = _tensors(state)
        storages = {s._cdata: s for s in (t.untyped_storage() for t in tensors if _is_simple(t))}
        buffers = self._filled(storages)
        copied = cast(dict[str, Any], copy_state(state, lambda value: _copy(value, buffers)))
        for device in {tensor.device for tensor in tensors if tensor.device.type == "cuda"}:
            torch.cuda.current_stream(device).synchronize()
        return copied

    def _filled(self, storages: dict[int, torch.UntypedStorage]) -> dict[int, torch.UntypedStorage]:
        self._fit([(s.nbytes(), s.device.type == "cuda") for s in storages.values()])
        pairs = list(zip(self._buffers, storages.values(), strict=True))
        for buffer, storage in pairs:
            if storage.device.type != "cpu":
                buffer.copy_(storage, non_blocking=True)
        copy_memory((b, s) for b, s in pairs if s.device.type == "cpu")
        return dict(zip(storages, self._buffers, strict=True))

    def _fit(self, wanted: list[_Kind]) -> None:
        spare = defaultdict(list)
        for kind, buffer in zip(reversed(self._kinds), reversed(self._buffers), strict=True):
            spare[kind].append(buffer)
        found = [spare[kind].pop() if spare[kind] else None for kind in wanted]
        self._kinds, self._buffers = [], []
        spare.clear()  # what is of no more use is freed before anything is allocated
        self._buffers = [
            _allocate(*kind) if buffer is None else buffer
            for kind, buffer in zip(wanted, found, strict=True)
        ]
        self._kinds = wanted


def _tensors(state: dict[str, Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []

    def note(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            found.append(value)
        return value

    copy_state(state, note)
    return found


def _is_simple(tensor: torch.Tensor) -> bool:
    """Whether the tensor is a view of a storage and no more, so that another storage will do."""
    return (
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.layout is torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
    )


def _copy(value: Any, buffers: _Storages) -> Any:
    if not isinstance(value, torch.Tensor):
        return value  # immutable: a number, text, bytes, torch.Size, dtype or device
    if _is_simple(value):
        found = _view(value, buffers[value.untyped_storage()._cdata])
    else:
        found = value.detach().clone()
        found = found if found.device.type in ("cpu", "meta") else found.cpu()
    if isinstance(value, torch.nn.Parameter):
        found = torch.nn.Parameter(found, value.requires_grad)
    if vars(value):
        vars(found).update(copy.deepcopy(vars(value)))
    return found.requires_grad_(value.requires_grad)


def _view(tensor: torch.Tensor, buffer: torch.UntypedStorage) -> torch.Tensor:
    empty = torch.empty(0, dtype=tensor.dtype)
    return empty.set_(buffer, tensor.storage_offset(), tensor.size(), tensor.stride())


def _allocate(size_bytes: int, pinned: bool) -> torch.UntypedStorage:
    return torch.empty(size_bytes, dtype=torch.uint8, pin_memory=pinned).untyped_storage()
