import pytest
import torch

from fspop.errors import ConfigurationError, Damaged
from fspop.training.cifar10 import RECORD_BYTES, TEST, TRAINING, read_cifar10


def record(label, red, green, blue):
    """One record as the format has it: the label, then each colour's 32 rows of 32 bytes."""
    rows = bytes(range(32)) * 32
    return bytes([label]) + b"".join(bytes(byte ^ c for byte in rows) for c in (red, green, blue))


@pytest.fixture
def folder(tmp_path):
    """Two records to a file, the label one more in each next record."""
    for number, name in enumerate((*TRAINING, *TEST)):
        pair = record(2 * number % 10, number, 32, 64), record((2 * number + 1) % 10, 0, 0, 0)
        (tmp_path / name).write_bytes(b"".join(pair))
    return tmp_path


def test_a_record_is_the_label_and_then_the_planes_of_red_green_and_blue(folder):
    training, _ = read_cifar10(folder)
    picture, label = training[6]  # the first of data_batch_4.bin
    across = torch.arange(32, dtype=torch.uint8)
    assert label == 6 and picture.shape == (3, 32, 32) and picture.dtype == torch.uint8
    for plane, colour in zip(picture, (3, 32, 64), strict=True):
        assert torch.equal(plane[0], across ^ colour) and torch.equal(plane[0], plane[31])


def test_five_files_are_to_train_on_and_the_sixth_is_the_test(folder):
    training, test = read_cifar10(folder)
    assert training.tensors[1].tolist() == [*range(10)]
    assert test.tensors[1].tolist() == [0, 1] and test.tensors[1].dtype == torch.int64


def test_the_folder_that_the_archive_was_unpacked_in_will_do(folder, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    (above / "cifar-10-batches-bin").symlink_to(folder)
    assert len(read_cifar10(above)[0]) == 10


def test_a_missing_file_is_named(folder):
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(ConfigurationError, match=r": it has no data_batch_3\.bin; give the folder"):
        read_cifar10(folder)


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere: there is no such folder; give"):
        read_cifar10(tmp_path / "nowhere")


def test_the_python_version_is_recognised_and_refused(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"a pickle")
    with pytest.raises(ConfigurationError, match=r"got the Python version of .*; get the binary"):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("size", [0, RECORD_BYTES - 1, 2 * RECORD_BYTES + 1])
def test_a_file_that_is_cut_off_is_refused_with_its_size(folder, size):
    file = folder / "data_batch_2.bin"
    file.write_bytes((file.read_bytes() * 2)[:size])
    with pytest.raises(Damaged, match=rf"data_batch_2\.bin: got {size} bytes, but it must be"):
        read_cifar10(folder)


def test_a_label_that_does_not_exist_is_refused_with_its_record(folder):
    (folder / "test_batch.bin").write_bytes(record(9, 0, 0, 0) + record(10, 0, 0, 0))
    with pytest.raises(Damaged, match=r"test_batch\.bin: record 1 has label 10, but labels are"):
        read_cifar10(folder)
