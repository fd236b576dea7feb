"""Every option of a Trainer: its default, what it means, what it may be."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from fspop.errors import InvalidSetting
from fspop.training.nearest import hint
from fspop.training.plain_copy import copy_state
from fspop.training.plain_state import python_number
from fspop.training.schedules.checks import check_number, check_whole, refuse


@dataclasses.dataclass
class Options:
    """The options of a Trainer, checked; docs/training.md explains each of them.

    `given` holds the names that were passed, for defaults which only apply where they can.
    """

    # how long
    num_epochs: int = 10
    stop_when_acc: float = 0.0
    early_stop: Mapping[str, Any] | None = None
    # what is optimized, and how
    loss_function: Any = "CrossEntropyLoss"
    loss_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    optim_function: Any = "Adam"
    optim_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    param_groups: Mapping[str, Sequence[str]] | None = None
    learning_rate: float = 1e-4
    momentum: float = 0.5
    weight_decay: float = 1e-5
    lr_scheduler: Any = None
    mtm_scheduler: Any = None
    clip_grad_norm: float = 0.0
    accumulate_steps: int = 1
    amp: bool | str = False
    compile: bool | Mapping[str, Any] = False
    freeze_statistics: bool = True
    model_args: Mapping[str, Any] | Sequence[Any] = ()
    # the data
    train_dataset: Any = None
    val_dataset: Any = None
    test_dataset: Any = None
    train_loader: Any = None
    val_loader: Any = None
    test_loader: Any = None
    batch_size: int = 64
    val_batch_size: int = 0
    test_batch_size: int = 0
    shuffle: bool = True
    drop_last: bool = True
    num_workers: int = 0
    collate_fn: Callable[[list[Any]], Any] | None = None
    val_every: int = 1
    # where, and from which random numbers
    device_id: int | str = -1
    device_map: Any = None
    seed: int | None = None
    # files
    checkpoint_dir: str | Path = "checkpoint"
    checkpoint_name: str = "ck"
    save_every: int = -1
    save_best: bool = False
    save_hist: bool = True
    keep_checkpoints: int = 0
    # what a person sees
    verbose: bool = True
    print_every: int = 10
    progress_bar: bool | None = None
    tb_writer: Any = None
    callbacks: Sequence[Any] = ()

    given: frozenset[str] = dataclasses.field(default=frozenset(), init=False, repr=False)

    def __post_init__(self) -> None:
        for name, limits in _NUMBERS.items():
            setattr(self, name, check_number("Trainer", name, getattr(self, name), **limits))
        for name, least in _WHOLE.items():
            setattr(self, name, check_whole("Trainer", name, getattr(self, name), least))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise refuse("Trainer", name, getattr(self, name), "True or False")
        if self.seed is not None:
            self.seed = check_whole("Trainer", "seed", self.seed)
            if self.seed >= 2**64:
                raise refuse("Trainer", "seed", self.seed, "below 2**64")
        for name in _SETTINGS:
            setattr(self, name, copy_state(getattr(self, name), python_number))
        if self.amp not in (False, True, "bfloat16", "float16"):
            raise refuse("Trainer", "amp", self.amp, "False, True, 'bfloat16' or 'float16'")
        for split in ("train", "val", "test"):
            self._check_one_source(split)
        for name, (kinds, wanted) in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                raise refuse("Trainer", name, getattr(self, name), wanted)
        self._check_early_stop()
        self._check_name()

    def _check_one_source(self, split: str) -> None:
        dataset, loader = getattr(self, f"{split}_dataset"), getattr(self, f"{split}_loader")
        if dataset is not None and loader is not None:
            raise InvalidSetting(f"Trainer: got {split}_dataset and {split}_loader; give one")

    def _check_early_stop(self) -> None:
        stop = self.early_stop
        if stop is None:
            return
        if not isinstance(stop, Mapping) or set(stop) != {"num_epochs", "improv"}:
            raise refuse("Trainer", "early_stop", stop, "None or {'num_epochs': …, 'improv': …}")
        check_whole("Trainer.early_stop", "num_epochs", stop["num_epochs"], 1)
        check_number("Trainer.early_stop", "improv", stop["improv"])

    def _check_name(self) -> None:
        name = self.checkpoint_name
        fits = isinstance(name, str) and 0 < len(name.encode()) <= _MOST_NAME_BYTES
        if not fits or {"/", "\0"} & set(name) or name.startswith("."):
            wanted = f"a file name of at most {_MOST_NAME_BYTES} bytes, without / or dot in front"
            raise refuse("Trainer", "checkpoint_name", name, wanted)

    def eval_batch_size(self, split: str) -> int:
        """The batch size of val or test: its own, else the other's, else that of training."""
        sizes = {"val": self.val_batch_size, "test": self.test_batch_size}
        return sizes[split] or max(sizes.values()) or self.batch_size

    def changed(self, **changes: Any) -> "Options":
        """A checked copy with these values; an unknown name raises InvalidSetting."""
        old = {name: getattr(self, name) for name in self.given}
        return make_options(**{**old, **changes})

    def plain(self) -> dict[str, Any]:
        """The given options that are plain data, as a checkpoint records them."""
        values = {name: getattr(self, name) for name in sorted(self.given & _PLAIN)}
        return {name: value for name, value in values.items() if is_plain(value)}


def make_options(**options: Any) -> Options:
    """Options of these values; an unknown name raises InvalidSetting with the nearest one."""
    known = [f.name for f in dataclasses.fields(Options) if f.init]
    for name in options:
        if name not in known:
            raise InvalidSetting(f"Trainer has no option {name!r}; {hint(name, known)}", field=name)
    made = Options(**options)
    made.given = frozenset(options)
    return made


_NUMBERS: dict[str, dict[str, float]] = {
    "stop_when_acc": {"least": 0},
    "learning_rate": {"least": 0},
    "momentum": {"least": 0, "below": 1},
    "weight_decay": {"least": 0},
    "clip_grad_norm": {"least": 0},
}
_WHOLE = {
    "num_epochs": 0,
    "accumulate_steps": 1,
    "batch_size": 1,
    "val_batch_size": 0,
    "test_batch_size": 0,
    "num_workers": 0,
    "val_every": 0,
    "save_every": -1,
    "keep_checkpoints": 0,
    "print_every": 0,
}
_KINDS: dict[str, tuple[Any, str]] = {
    "callbacks": ((list, tuple), "a list of callbacks"),
    "loss_options": (Mapping, "a dict of options"),
    "optim_options": (Mapping, "a dict of options"),
    "param_groups": ((Mapping, type(None)), "None, or a dict of lists of module names"),
    "model_args": ((Mapping, list, tuple), "a dict or list of arguments"),
    "compile": ((bool, Mapping), "True, False or a dict of options of torch.compile"),
    "checkpoint_dir": ((str, PathLike), "the path of a folder"),
    "device_id": ((int, str, torch.device), "a number, -1 for the CPU, or a torch device name"),
}
_MOST_NAME_BYTES = 150
"""What comes before and behind it has to fit into a file name, too."""
_SETTINGS = ("loss_options", "optim_options", "model_args", "early_stop")
_SWITCHES = ("shuffle", "drop_last", "freeze_statistics", "save_best", "save_hist", "verbose")
_MACHINE = {"device_id", "device_map", "checkpoint_dir", "callbacks", "tb_writer"}
_PLAIN = frozenset(f.name for f in dataclasses.fields(Options)) - _MACHINE


def is_plain(value: Any) -> bool:
    """Whether a checkpoint gives `value` back as it is: numbers, text, lists, dicts of those."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
