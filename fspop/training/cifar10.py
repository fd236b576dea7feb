"""CIFAR-10 from the files of its binary version: 60,000 colour pictures of ten kinds of things.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A file is a row of
records of 3073 bytes: the label, then 32 x 32 bytes each of red, green and blue, row by row.
Nothing is fetched.
"""

from os import PathLike
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from fspop.errors import ConfigurationError, Damaged

FOLDER = "cifar-10-batches-bin"
TRAINING = tuple(f"data_batch_{n}.bin" for n in range(1, 6))
TEST = ("test_batch.bin",)
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def read_cifar10(folder: str | PathLike[str]) -> tuple[TensorDataset, TensorDataset]:
    """(training, test) of the files in `folder`, or in its subfolder cifar-10-batches-bin.

    Pictures are (N, 3, 32, 32) of uint8, labels (N,) of int64: the places in CLASSES. Files of any
    whole number of records are read, so that a part of the data may stand for it.
    Raises ConfigurationError for a missing file, Damaged for one that does not hold records.
    """
    root = Path(folder)
    if (root / FOLDER).is_dir():
        root = root / FOLDER
    training, test = ([root / name for name in names] for names in (TRAINING, TEST))
    _check_there(root, [*training, *test])
    return _read(training), _read(test)


def _check_there(root: Path, files: list[Path]) -> None:
    missing = [file.name for file in files if not file.is_file()]
    if not missing:
        return
    advice = "give the folder that holds data_batch_1.bin to data_batch_5.bin and test_batch.bin"
    if not root.is_dir():
        got = "there is no such folder"
    elif (root / "data_batch_1").exists():
        got = "got the Python version of CIFAR-10, of pickles"
        advice = "get the binary version"
    else:
        got = f"it has no {', '.join(missing)}"
    raise ConfigurationError(f"CIFAR-10: {root}: {got}; {advice}", path=root)


def _read(files: list[Path]) -> TensorDataset:
    records = torch.cat([_records(file) for file in files])  # (N, 3073)
    pictures = records[:, 1:].reshape(-1, *SHAPE)  # (N, 3, 32, 32)
    return TensorDataset(pictures.contiguous(), records[:, 0].long())


def _records(file: Path) -> Tensor:
    content = file.read_bytes()
    n, rest = divmod(len(content), RECORD_BYTES)
    if rest or not n:
        raise Damaged(
            f"CIFAR-10: {file}: got {len(content)} bytes, but it must be records of {RECORD_BYTES} "
            "bytes each; unpack it again",
            path=file,
        )
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(n, RECORD_BYTES)
    labels = records[:, 0]
    wrong = (labels >= len(CLASSES)).nonzero()
    if len(wrong):
        raise Damaged(
            f"CIFAR-10: {file}: record {wrong[0].item()} has label {labels[wrong[0]].item()}, but "
            "labels are 0 to 9; this is no file of CIFAR-10's binary version",
            path=file,
        )
    return records
