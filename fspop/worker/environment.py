"""The machine a worker runs on: threads, device, versions, and how they differ from the others'."""

import os
import platform
import sys
from importlib import metadata

import fspop
from fspop.errors import ConfigurationError
from fspop.records import Process, State


def limit_threads(threads: int) -> None:
    """Fixes the CPU threads of a member: another number gives other bits. Call before importing
    torch.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def choose_device(wanted: str | None, worker: str) -> str:
    """`wanted`, or a GPU by worker id where torch sees any, or cpu. Raises ConfigurationError."""
    if wanted:
        return _check_device(wanted)
    if "torch" not in sys.modules:
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"cuda:{int(worker) % count if worker.isdigit() else 0}" if count else "cpu"


def _check_device(wanted: str) -> str:
    import torch

    try:
        torch.empty(0, device=torch.device(wanted))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"--device: got {wanted!r}, which does not work here ({reason}); "
            "give cpu or a device that torch sees, such as cuda:0"
        ) from error
    return wanted


def versions(device: str) -> dict[str, str]:
    """What results may depend on, by name: Python, fspop, torch, and the kind of device."""
    found = {"python": platform.python_version(), "fspop": fspop.__version__}
    if "torch" in sys.modules:
        found["torch"] = metadata.version("torch")
    found["device"] = _device_kind(device)
    return found


def _device_kind(device: str) -> str:
    if not device.startswith("cuda"):
        return f"{device} {platform.machine()}"
    import torch

    return torch.cuda.get_device_name(device)


def differences(process: Process, state: State) -> list[str]:
    """One line for each other worker whose versions or device kind are not this one's."""
    lines = []
    for other in state.workers.values():
        if other.incarnation == process.incarnation:
            continue
        names = sorted({*process.versions, *other.versions})
        unlike = [
            f"{name} {other.versions.get(name, 'none')} (here {process.versions.get(name, 'none')})"
            for name in names
            if other.versions.get(name) != process.versions.get(name)
        ]
        if unlike:
            lines.append(f"worker {other.worker} on {other.host} has {', '.join(unlike)}")
    return lines
