import random

import pytest
import torch
import xxhash

from fspop.training.hashed import HashedFile, HashedReader

DATA = random.Random(0).randbytes(3_000_000)
DIGEST = f"xxh128:{xxhash.xxh3_128_hexdigest(DATA)}"


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    with open(tmp_path / "data", "rb") as file:
        yield file


def test_what_is_written_in_pieces_has_the_digest_of_the_whole(tmp_path):
    with open(tmp_path / "data", "wb") as raw:
        file = HashedFile(raw.fileno())
        for piece in (DATA[:7], memoryview(DATA)[7:2_500_000], b"", DATA[2_500_000:]):
            assert file.write(piece) == len(piece)
    assert (tmp_path / "data").read_bytes() == DATA
    assert (file.size_bytes, file.digest) == (len(DATA), DIGEST)


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [(0, 10)],
        [(0, 3_000_000)],
        [(2_999_000, 9_999), (0, 1_500_000), (1_500_064, 2_000_000)],
        [(0, 2_000_000), (100, 50), (1_999_999, 600_000), (500, 2_999_500)],
        [(2_000_000, 1_000_000), (0, 2_000_000)],
        [(5_000_000, 10)],
    ],
)
def test_in_whatever_order_a_file_is_read_its_digest_is_that_of_the_whole(opened, reads):
    reader = HashedReader(opened.fileno())
    for begin, size in reads:
        reader.seek(begin)
        assert reader.read(size) == DATA[begin : begin + size]
    assert reader.digest() == DIGEST == reader.digest()


def test_random_reads_give_the_bytes_and_the_digest_of_the_file(opened):
    rng = random.Random(1)
    for _ in range(30):
        reader = HashedReader(opened.fileno())
        for _ in range(rng.randrange(6)):
            begin = reader.seek(rng.choice([0, rng.randrange(3_000_000), reader.tell() + 30]))
            assert reader.read(size := rng.randrange(2_000_000)) == DATA[begin : begin + size]
        assert reader.digest() == DIGEST


def test_everything_is_read_from_where_the_reader_stands(opened):
    reader = HashedReader(opened.fileno())
    reader.seek(-10, 2)
    assert (reader.read(), reader.tell(), reader.read()) == (DATA[-10:], len(DATA), b"")


def test_a_checkpoint_is_read_once(tmp_path, monkeypatch):
    import os

    torch.save({f"x{i}": torch.rand(50_000 + i) for i in range(9)}, tmp_path / "x.pt")
    read_bytes, preadv = [], os.preadv

    def counting(fd, buffers, offset):
        read_bytes.append(preadv(fd, buffers, offset))
        return read_bytes[-1]

    monkeypatch.setattr(os, "preadv", counting)
    with open(tmp_path / "x.pt", "rb") as file:
        reader = HashedReader(file.fileno())
        torch.load(reader, weights_only=True)
        reader.digest()
    assert sum(read_bytes) < 1.02 * (tmp_path / "x.pt").stat().st_size
