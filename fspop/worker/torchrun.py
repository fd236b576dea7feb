"""One worker as several processes: what torchrun says about them, and how they find each other."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from fspop.errors import ConfigurationError, RankLost
from fspop.training.ranks import ALONE, Ranks, new_group
from fspop.worker.environment import choose_device


class Launched(NamedTuple):
    """This process among those that torchrun started for one worker."""

    rank: int
    world_size: int
    local_rank: int


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """What torchrun says; None for a process by itself.

    Only torchrun counts: schedulers set WORLD_SIZE and RANK for tasks that have nothing to do with
    one another, and those are workers of their own.
    """
    if "TORCHELASTIC_RUN_ID" not in environment or environment.get("WORLD_SIZE", "1") == "1":
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        return Launched(*(int(environment[name]) for name in names))
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"torchrun's environment: {', '.join(names)} must be whole numbers, got {error}; "
            "start it as torchrun --nproc-per-node N -m fspop worker --id ID --dir DIR"
        ) from error


def find_ranks(device: str | None, worker_id: str, timeout_s: float) -> tuple[Ranks, str]:
    """This process's ranks, ALONE where torchrun did not start it, and its device.

    `timeout_s` is how long a collective call of a task may take. Raises ConfigurationError,
    RankLost.
    """
    found = launched()
    if found is None:
        return ALONE, choose_device(device, worker_id)
    device = _device_of(device, found.local_rank)
    return _meet(found, device, timeout_s), device


def ignored(environment: Mapping[str, str] = os.environ) -> str | None:
    """What to say where somebody else than torchrun speaks of several processes; else None."""
    world_size = environment.get("WORLD_SIZE", "1")
    if world_size in ("", "1") or "TORCHELASTIC_RUN_ID" in environment:
        return None
    return (
        f"WORLD_SIZE={world_size} is set, but not by torchrun: this worker trains its members by "
        "itself; for a member on several GPUs start torchrun --nproc-per-node N -m fspop worker …"
    )


def _device_of(wanted: str | None, local_rank: int) -> str:
    """The device of this rank: cpu, or the GPU of its number. Raises ConfigurationError."""
    import torch

    if wanted == "cpu" or (wanted is None and not torch.cuda.is_available()):
        return "cpu"
    if wanted not in (None, "cuda"):
        raise ConfigurationError(
            f"--device: got {wanted!r}, but each rank needs a device of its own; "
            "give cpu or cuda, or nothing"
        )
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigurationError(
            f"rank with LOCAL_RANK={local_rank}: there are {count} GPUs here; give torchrun "
            "--nproc-per-node at most as many, or --device cpu"
        )
    return f"cuda:{local_rank}"


def _meet(found: Launched, device: str, timeout_s: float) -> Ranks:
    """Makes the process group of this worker: gloo on the CPU, nccl on GPUs."""
    import torch
    import torch.distributed as dist
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        store, rank, world_size = next(rendezvous("env://"))
        store = PrefixStore(_attempt(), store)
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=world_size,
            timeout=timedelta(seconds=timeout_s),
            device_id=torch.device(device) if on_gpu else None,
        )
        return Ranks(rank, world_size, found.local_rank, group=new_group(), store=store)
    except RuntimeError as error:
        line = str(error).splitlines()[0]
        raise RankLost(
            f"rank {found.rank} of {found.world_size}: the ranks do not find each other ({line}); "
            "start all of them again"
        ) from error


def _attempt(environment: Mapping[str, str] = os.environ) -> str:
    """What keeps the keys of one start of the ranks from those of the next in torchrun's store.

    Agents of several hosts count restarts differently, but begin each with a store of its own.
    """
    alone = environment.get("GROUP_WORLD_SIZE", "1") == "1"
    return f"fspop/{environment.get('TORCHELASTIC_RESTART_COUNT', '0') if alone else ''}"


def part(ranks: Ranks) -> None:
    """Ends the process group, at an orderly end."""
    if ranks.world_size > 1 and not ranks.is_broken:
        import torch.distributed as dist

        dist.destroy_process_group()


def check_alike(ranks: Ranks, worker_id: str, run: str, directory: str) -> None:
    """Raises ConfigurationError, on all ranks, where they were not started with the same words."""
    if ranks is ALONE:
        return
    said = ranks.each(lambda: (worker_id, run, directory))
    for rank, (other_id, other_run, other_directory) in enumerate(said):
        if other_id != said[0][0]:
            what = f"--id {other_id}, rank 0 with --id {said[0][0]}"
        elif other_run != said[0][1]:
            what = f"--dir {other_directory} (run {other_run}), rank 0 with --dir {said[0][2]}"
            what += f" (run {said[0][1]})"
        else:
            continue
        raise ConfigurationError(
            f"rank {rank} was started with {what}; the ranks of one worker train one member: give "
            "them one command line, torchrun --nproc-per-node N -m fspop worker --id ID --dir DIR"
        )
