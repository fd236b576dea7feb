"""Batches of every shape reach the device, and their samples are counted."""

from collections import OrderedDict, UserDict, namedtuple

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from fspop.training.batches import n_samples, to_device

Pair = namedtuple("Pair", "inputs targets")
SEVEN = torch.ones(7, 2)


def packed():
    return pack_sequence([torch.ones(3, 2), torch.ones(2, 2)])


class Graph:
    """Something that knows by itself how it is moved."""

    def __init__(self, nodes):
        self.nodes = nodes

    def to(self, device):
        return Graph(self.nodes.to(device))


@pytest.mark.parametrize(
    ("batch", "tensor"),
    [
        ([SEVEN, "name"], lambda moved: moved[0]),
        (Pair(SEVEN, None), lambda moved: moved.inputs),
        (OrderedDict(x=[SEVEN]), lambda moved: moved["x"][0]),
        (UserDict(x=SEVEN, name="n"), lambda moved: moved["x"]),
        (packed(), lambda moved: moved.data),
        ((Graph(SEVEN),), lambda moved: moved[0].nodes),
    ],
)
def test_tensors_are_moved_wherever_they_are(batch, tensor):
    moved = to_device(batch, torch.device("meta"))
    assert tensor(moved).device.type == "meta" and tensor(batch).device.type == "cpu"
    assert type(moved) is (dict if isinstance(batch, dict) else type(batch))


@pytest.mark.parametrize(
    ("batch", "n"),
    [
        ((SEVEN, torch.ones(3)), 7),
        ({"name": ["a", "b"], "x": SEVEN}, 7),
        ([["a"], [], {"x": SEVEN}], 7),
        (UserDict(x=SEVEN), 7),
        ((torch.tensor(1.0), SEVEN), 7),
        ((packed(), torch.ones(2)), 2),
        (["a", "b"], 1),
        (None, 1),
    ],
)
def test_samples_are_counted_by_the_first_tensor(batch, n):
    assert n_samples(batch) == n
