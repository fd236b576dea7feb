"""What a Trainer does over the ranks of its member: average gradients, losses and metrics."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fspop.errors import TaskError


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` with gradients averaged over ranks (DDP); itself where nothing in it is trained."""
    from torch.nn.parallel import DistributedDataParallel

    if not any(parameter.requires_grad for parameter in model.parameters()):
        return model
    ids = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids)


def share_buffers(model: nn.Module) -> None:
    """Gives all ranks the first one's buffers, as DDP does before each forward pass of training."""
    import torch.distributed as dist

    for buffer in model.buffers():
        dist.broadcast(buffer, src=0)


def summed(values: Tensor) -> Tensor:
    """The sum over ranks, in place."""
    import torch.distributed as dist

    dist.all_reduce(values)
    return values


def averaged(values: Tensor) -> Tensor:
    """The mean over ranks, in place."""
    import torch.distributed as dist

    return summed(values).div_(dist.get_world_size())


def averaged_metrics(metrics: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """The mean over ranks of each metric; all ranks must have the same."""
    values = torch.tensor(list(metrics.values()), dtype=torch.float64, device=device)
    return dict(zip(metrics, averaged(values).tolist(), strict=True))


def check_in_step(model: nn.Module, who: str) -> None:
    """Raises TaskError, on all ranks, where the ranks have come to hold different weights."""
    import torch.distributed as dist

    named = dict(model.named_parameters())
    if not named:
        return
    sums = torch.stack([p.detach().double().sum() for p in named.values()]).nan_to_num()
    both = torch.cat([sums, -sums])
    dist.all_reduce(both, dist.ReduceOp.MAX)
    for name, apart in zip(named, (both[: len(sums)] + both[len(sums) :]).tolist(), strict=True):
        if apart:
            raise TaskError(
                f"{who}: parameter {name} differs between the ranks, so its gradients were not "
                "averaged; an override has to call self.network (or self.predict), not self.model"
            )
