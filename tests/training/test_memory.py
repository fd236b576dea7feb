import pytest
import torch

from fspop.training import memory
from fspop.training.memory import copy_memory


@pytest.mark.parametrize("cpus", [1, 2, 16])
def test_every_byte_is_copied_by_any_number_of_threads(monkeypatch, cpus):
    monkeypatch.setattr(memory, "_usable_cpus", lambda: cpus)
    sizes = [0, 1, 7, 2 << 20, (2 << 20) + 1, 50_000_001]
    sources = [torch.randint(256, (n,), dtype=torch.uint8) for n in sizes]
    copies = [torch.zeros_like(source) for source in sources]
    pairs = zip(copies, sources, strict=True)
    copy_memory((c.untyped_storage(), s.untyped_storage()) for c, s in pairs)
    assert all(torch.equal(c, s) for c, s in zip(copies, sources, strict=True))
