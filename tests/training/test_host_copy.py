import gc
import weakref
from collections import OrderedDict

import pytest
import torch

from fspop.training.checkpoint import load_checkpoint, save_checkpoint
from fspop.training.host_copy import HostCopy


def parameter_with_a_note():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.note = ["kept"]
    return parameter


def shared():
    base = torch.arange(12.0)
    return [base, base, base[2:6], base.view(3, 4).t(), base[:0]]


KINDS = {
    "shared, views, non-contiguous": shared,
    "one element expanded": lambda: torch.ones(1).expand(5),
    "0-dim": lambda: torch.tensor(3.5),
    "empty": lambda: torch.zeros(0, 4),
    "bfloat16": lambda: torch.arange(5).to(torch.bfloat16),
    "float8": lambda: torch.arange(5.0).to(torch.float8_e4m3fn),
    "bool, complex": lambda: [torch.tensor([True]), torch.ones(3, dtype=torch.complex64)],
    "sparse": lambda: torch.eye(4).to_sparse().coalesce(),
    "parameter": lambda: torch.nn.Parameter(torch.ones(3)),
    "frozen parameter": lambda: torch.nn.Parameter(torch.ones(3), requires_grad=False),
    "attribute": parameter_with_a_note,
    "result of a computation": lambda: torch.ones(2, requires_grad=True) * 2,
    "module": lambda: torch.nn.BatchNorm1d(3).state_dict(),
    "containers": lambda: OrderedDict(
        a=(1, [torch.Size([2]), torch.int8]), b={1: b"x", (1,): None}
    ),
    "tied": lambda: tied().state_dict(),
}


CLONED = {
    "conjugate": lambda: torch.tensor([1 + 2j]).conj(),
    "negative": lambda: torch.tensor([2j]).conj().imag,
    "sparse rows": lambda: torch.eye(4).to_sparse_csr(),
}


def tied():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_the_copy_of_any_state_is_saved_as_the_same_bytes(tmp_path, make):
    state, host = {"value": make()}, HostCopy()
    expected = save_checkpoint(tmp_path / "g" / "live", state)
    for n in range(2):  # the second one goes where the first one was
        assert save_checkpoint(tmp_path / "g" / f"copy{n}", host.of(state)) == expected


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_quantised_tensor_is_copied(tmp_path):
    x = torch.quantize_per_tensor(torch.tensor([1.0, 2.0]), 0.1, 10, torch.quint8)
    copied = HostCopy().of({"x": x})
    x.copy_(torch.zeros(2))
    save_checkpoint(tmp_path / "g" / "c", copied)
    loaded = load_checkpoint(tmp_path / "g" / "c")["x"]
    assert loaded.dequantize().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("make", CLONED.values(), ids=CLONED)
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_a_tensor_that_is_more_than_a_view_comes_back_equal(tmp_path, make):
    x = make()
    save_checkpoint(tmp_path / "g" / "c", HostCopy().of({"x": x}))
    loaded = load_checkpoint(tmp_path / "g" / "c")["x"]
    assert loaded.layout == x.layout and torch.equal(loaded.to_dense(), x.to_dense())


@pytest.mark.parametrize("make", [*KINDS.values(), *CLONED.values()], ids=[*KINDS, *CLONED])
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_nothing_of_the_state_survives_in_the_copy(make):
    state = {"value": make()}
    traces = [weakref.ref(tensor) for tensor in tensors_in(state)]
    places = {place for tensor in tensors_in(state) for place in addresses(tensor)}
    host = HostCopy()
    copied = host.of(state)
    assert not places & {place for tensor in tensors_in(copied) for place in addresses(tensor)}
    del state
    gc.collect()
    assert [trace() for trace in traces] == [None] * len(traces)


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    return (
        [t for item in value for t in tensors_in(item)] if isinstance(value, list | tuple) else []
    )


def addresses(tensor):
    if tensor.layout is torch.sparse_coo:
        return addresses(tensor._indices()) + addresses(tensor._values())
    if tensor.layout is torch.sparse_csr:
        return addresses(tensor.col_indices()) + addresses(tensor.values())
    return [tensor.untyped_storage().data_ptr()] if tensor.untyped_storage().nbytes() else []


def test_the_same_memory_is_used_again_until_a_size_changes():
    host, x, y = HostCopy(), torch.ones(1000), torch.ones(10)
    first = host.of({"x": x, "y": y})
    again = host.of({"y": y, "x": x * 2})  # in another order
    assert again["x"].data_ptr() == first["x"].data_ptr()
    assert again["y"].data_ptr() == first["y"].data_ptr() and again["x"][0] == 2
    grown = host.of({"x": x, "y": torch.ones(11)})
    assert grown["x"].data_ptr() == first["x"].data_ptr() and len(grown["y"]) == 11


def test_memory_that_no_size_needs_any_more_is_freed():
    host = HostCopy()
    trace = weakref.ref(host.of({"x": torch.ones(1000)})["x"].untyped_storage())
    host.of({"x": torch.ones(999)})
    assert trace() is None
    assert [buffer.nbytes() for buffer in host._buffers] == [4 * 999]


def test_versions_that_a_module_left_in_its_state_are_copied():
    state = torch.nn.BatchNorm1d(3).state_dict()
    copied = HostCopy().of({"model": state})["model"]
    assert copied._metadata == state._metadata and copied._metadata is not state._metadata
    state._metadata[""]["version"] = 1
    assert copied._metadata[""]["version"] == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="gpu: no CUDA device here")
def test_a_state_on_the_gpu_is_copied_to_pinned_memory_before_it_changes(tmp_path):
    x = torch.arange(5_000_000, device="cuda")
    host = HostCopy()
    for n in range(3):
        copied = host.of(
            {"x": x, "part": x[10:20], "sparse": torch.eye(3, device="cuda").to_sparse()}
        )
        x += 1
        assert copied["x"].device.type == "cpu" and copied["x"].is_pinned()
        assert copied["part"].untyped_storage().data_ptr() == copied["x"].data_ptr()
        assert torch.equal(copied["x"], torch.arange(5_000_000) + n)
    save_checkpoint(tmp_path / "g" / "c", copied)
    assert load_checkpoint(tmp_path / "g" / "c")["sparse"].device.type == "cpu"
