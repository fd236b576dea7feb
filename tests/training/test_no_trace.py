"""Training inside the block leaves nothing behind, bit for bit."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fspop.training.no_trace import no_trace


class Odd(nn.Module):
    """All that is hard to put back: shared weights, replaced and unsaved buffers, extra state."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.unsaved = self.unsaved + 1
        x = nn.functional.dropout(self.norm(self.first(x)), 0.5, self.training)
        return self.second(x) * self.frozen

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def flat(value):
    """Anything as comparable plain data."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return (str(value.dtype), value.tolist())
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, list | tuple) else value


def everything(model, optimizer, loader):
    tensors = [*model.parameters(), *model.buffers()]
    rng = [random.getstate(), np.random.get_state(), torch.get_rng_state()]
    loaders = [loader.generator.get_state()]
    rest = [model.calls, [m.training for m in model.modules()], [id(t) for t in tensors]]
    grads = [(id(p.grad), p.grad) for p in model.parameters()]
    return flat([tensors, rng, loaders, rest, grads, optimizer.state_dict(), len(optimizer.state)])


def train(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    random.random()
    np.random.rand()


@pytest.fixture(params=["SGD", "Adam", "fresh"])
def trained(request):
    torch.manual_seed(0)
    model = Odd()
    kind = torch.optim.SGD if request.param == "SGD" else torch.optim.Adam
    options = {"momentum": 0.9} if request.param == "SGD" else {}
    optimizer = kind((p for p in model.parameters() if p.requires_grad), lr=0.1, **options)
    data = TensorDataset(torch.randn(20, 4), torch.randn(20, 4))
    loader = DataLoader(data, 5, shuffle=True, generator=torch.Generator().manual_seed(1))
    if request.param != "fresh":
        train(model, optimizer, loader)
    model.norm.eval()
    return model, optimizer, loader


def test_everything_is_put_back(trained):
    model, optimizer, loader = trained
    before = everything(*trained)
    with no_trace([model], optimizer, [loader, None]):
        assert all(p.grad is None for p in model.parameters())
        model.train()
        train(*trained)
        optimizer.param_groups[0].update(lr=9.0, new=1)
        model.register_buffer("late", torch.ones(1))
        assert everything(*trained) != before
    assert everything(*trained) == before
    assert "new" not in optimizer.param_groups[0] and not hasattr(model, "late")


def test_everything_is_put_back_when_the_block_raises(trained):
    before = everything(*trained)
    with pytest.raises(KeyError), no_trace([trained[0]], *trained[1:2], trained[2:]):
        train(*trained)
        raise KeyError
    assert everything(*trained) == before


def test_workers_that_the_block_started_do_not_spare_a_later_draw():
    data = TensorDataset(torch.randn(8, 4), torch.randn(8, 4))
    loader = DataLoader(data, 4, shuffle=True, num_workers=1, persistent_workers=True)
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(0)
    with no_trace([model], optimizer, [loader]):
        train(model, optimizer, loader)
    found = [torch.cat([x for x, _ in loader]), torch.rand(1)]
    torch.manual_seed(0)
    fresh = DataLoader(data, 4, shuffle=True, num_workers=1, persistent_workers=True)
    wanted = [torch.cat([x for x, _ in fresh]), torch.rand(1)]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
