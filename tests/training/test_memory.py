import mmap
import os

import pytest
import torch

from fspop.training import memory
from fspop.training.memory import copy_memory, expect_large


@pytest.mark.parametrize("cpus", [1, 2, 16])
def test_every_byte_is_copied_by_any_number_of_threads(monkeypatch, cpus):
    monkeypatch.setattr(memory, "_usable_cpus", lambda: cpus)
    sizes = [0, 1, 7, 2 << 20, (2 << 20) + 1, 50_000_001]
    sources = [torch.randint(256, (n,), dtype=torch.uint8) for n in sizes]
    copies = [torch.zeros_like(source) for source in sources]
    pairs = zip(copies, sources, strict=True)
    copy_memory((c.untyped_storage(), s.untyped_storage()) for c, s in pairs)
    assert all(torch.equal(c, s) for c, s in zip(copies, sources, strict=True))


@pytest.mark.parametrize("begin", [0, 1, 4095, 4096])
@pytest.mark.parametrize("size", [0, 1, 2 << 20, (5 << 20) + 3])
def test_a_buffer_anywhere_may_be_expected_to_be_large(begin, size):
    whole = mmap.mmap(-1, 8 << 20)
    whole.write(data := os.urandom(8 << 20))
    view = memoryview(whole)[begin : begin + size]
    expect_large(view)
    assert view == data[begin : begin + size]


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="needs Linux")
def test_a_large_buffer_is_marked_for_huge_pages():
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
            if "[madvise]" not in file.read():
                pytest.skip("huge pages are not by request here")
    except FileNotFoundError:
        pytest.skip("no huge pages in this kernel")
    whole = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    before = huge_kb()
    expect_large(memoryview(whole))
    whole.write(b"x" * (32 << 20))
    assert huge_kb() - before > 16 << 10


def huge_kb():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("AnonHugePages"))
