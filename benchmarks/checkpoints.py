"""What a checkpoint costs: the pause it makes in training, the whole save, the restore, memory.

    .venv/bin/python benchmarks/checkpoints.py [--sizes 100 1000] [--repeat 5] [--dir DIR] [--json]

Sizes are MB of float32 parameters. Everything is measured in turns in one process, and a ratio is
the median of the turns' ratios, so that whatever else the machine does meets both sides. Reads
find the file in the page cache, on both sides. Memory is that of fresh processes.
"""

import argparse
import ctypes
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import torch.distributed.checkpoint as dcp

from benchmarks.table import Figure, show
from fspop.training.checkpoint import load_checkpoint, mapped_checkpoint, save_checkpoint
from fspop.training.saver import Saver

LAYERS_MB = (4, 8, 12, 16)
SHORT_MB = 1500  # what is quickly done is done more often than asked for
SYSTEMS = ("Saver", "async_save", "torch.save")
_trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)


def make_model(size_mb: int) -> torch.nn.Module:
    layers, left = [], size_mb
    while left > 0:
        mb = min(left, LAYERS_MB[len(layers) % len(LAYERS_MB)])
        layers.append(torch.nn.Parameter(torch.rand(mb * 250_000)))
        left -= mb
    return torch.nn.ParameterList(layers)


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call that finds no freed memory to use again, as in a process that starts."""
    gc.collect()
    _trim(0)
    began_s = time.perf_counter()
    result = call()
    took_s = time.perf_counter() - began_s
    del result
    return took_s


def copier(state: dict) -> Callable[[], None]:
    """The bare memcpy of a state's bytes into memory that was used before."""
    tensors = list(state["model"].values())
    buffers = [torch.zeros_like(tensor) for tensor in tensors]
    places = [(b.data_ptr(), t.data_ptr(), t.nbytes) for b, t in zip(buffers, tensors, strict=True)]

    def copy(keep: object = buffers) -> None:
        for place in places:
            ctypes.memmove(*place)

    return copy


def plain_save(state: dict, path: Path) -> None:
    with open(path, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def restore(model: torch.nn.Module, folder: Path, digest: str) -> None:
    """As a worker does it."""
    with mapped_checkpoint(folder, digest) as state:
        model.load_state_dict(state["model"])


def turn(folder: Path, model: torch.nn.Module, saver: Saver, copy: Callable) -> dict[str, float]:
    """Seconds of each thing, once."""
    state = {"model": model.state_dict()}
    took = {"memcpy": timed(copy)}
    took["begin"] = timed(lambda: saver.begin(folder / "saver" / "c", state))
    saver.wait()
    futures: list = []
    took["async_save"] = timed(
        lambda: futures.append(dcp.async_save(state, checkpoint_id=folder / "dcp"))
    )
    futures.pop().result()
    took["torch.save"] = timed(lambda: plain_save(state, folder / "plain.pt"))
    saved = []
    took["save"] = timed(lambda: saved.append(save_checkpoint(folder / "c" / "c", state)))
    path = folder / "c" / "c" / "state.pt"
    took["read"] = timed(lambda: path.open("rb", buffering=0).read())
    took["load"] = timed(lambda: load_checkpoint(path.parent, saved[0].digest))
    took["restore"] = timed(lambda: restore(model, path.parent, saved[0].digest))
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return took


def measure(folder: Path, size_mb: int, repeat: int) -> list[Figure]:
    torch.manual_seed(0)
    model = make_model(size_mb)
    copy = copier({"model": model.state_dict()})
    with Saver() as saver:
        n_turns = max(repeat, SHORT_MB // size_mb)
        turns = [turn(folder, model, saver, copy) for _ in range(1 + n_turns)]
    first_s = turns[0]["begin"]
    turns = turns[1:]  # in the first one each side allocates what it then keeps
    ms = {name: 1e3 * statistics.median(took[name] for took in turns) for name in turns[0]}

    def ratio(what: str, to: str) -> float:
        return statistics.median(took[what] / took[to] for took in turns)

    peak = {system: peak_mb(system, size_mb, folder) for system in SYSTEMS}
    rows = [
        Figure("bare memcpy into a reused buffer", ms["memcpy"], "ms"),
        Figure("pause for Saver.begin", ms["begin"], "ms"),
        Figure("pause for the first Saver.begin, which allocates", 1e3 * first_s, "ms"),
        Figure("pause for distributed.checkpoint.async_save", ms["async_save"], "ms"),
        Figure("pause of Saver over memcpy", ratio("begin", "memcpy"), "x", 2.0),
        Figure("pause of async_save over Saver's", ratio("async_save", "begin"), "x", 3.0, False),
        Figure("memory while saving: Saver", peak["Saver"], "MB"),
        Figure("memory while saving: async_save", peak["async_save"], "MB"),
        Figure("memory while saving: torch.save", peak["torch.save"], "MB"),
        Figure("torch.save + fsync", ms["torch.save"], "ms"),
        Figure("save_checkpoint", ms["save"], "ms"),
        Figure("save_checkpoint over torch.save + fsync", ratio("save", "torch.save"), "x", 1.1),
        Figure("raw read", ms["read"], "ms"),
        Figure("load_checkpoint into fresh memory, digest compared", ms["load"], "ms"),
        Figure("restore into the model, digest compared", ms["restore"], "ms"),
        Figure("restore over raw read", ratio("restore", "read"), "x", 1.5),
    ]
    return [row._replace(what=f"{size_mb:>5} MB  {row.what}") for row in rows]


# ---- memory, in a process of its own -------------------------------------------------------------


def peak_mb(system: str, size_mb: int, folder: Path) -> float:
    command = [sys.executable, __file__, "--child", system, "--sizes", size_mb, "--dir", folder]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True)
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return float(done.stdout)


def child(system: str, size_mb: int, folder: Path) -> float:
    """MB that two saves need beyond the process that holds the model; NaN where unknown."""
    state = {"model": make_model(size_mb).state_dict()}
    before = status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    with Saver() as saver:
        for n in range(2):
            if system == "Saver":
                saver.begin(folder / "c" / f"{n}", state)
                saver.wait()
            elif system == "async_save":
                dcp.async_save(state, checkpoint_id=folder / f"{n}").result()
            else:
                plain_save(state, folder / f"{n}.pt")
    return status_mb("VmHWM") - before


def status_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], metavar="MB")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # async_save is told off for having no process group
    torch.set_num_threads(1)
    if given.child:
        print(child(given.child, given.sizes[0], given.dir))
        return 0
    figures = []
    for size_mb in given.sizes:
        with tempfile.TemporaryDirectory(dir=given.dir) as folder:
            figures += measure(Path(folder), size_mb, given.repeat)
    return show(figures, given.json)


if __name__ == "__main__":
    sys.exit(main())
